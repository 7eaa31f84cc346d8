/** What a device's process gives up once it serves: plain data. */

/** As virtiofsd names them. */
export type SandboxMode = 'namespace' | 'chroot';

/** What becomes of a system call that is not on the list. */
export type SeccompAction = 'kill' | 'log' | 'trap' | 'none';

/** One line of a user namespace's map. */
export interface IdRange {
  readonly inside: number;
  readonly outside: number;
  readonly count: number;
}

/** A sandbox of `oriel fs`, checked. */
export interface SandboxPlan {
  /** The device's: a launcher holds the mounts of the share under it. */
  readonly name: string;
  readonly mode: SandboxMode;
  readonly seccomp: SeccompAction;
  /** Numbers of the capabilities that are kept. */
  readonly capabilities: readonly number[];
  /** Empty: no user namespace for root; for others, root inside is this user. */
  readonly uidMap: readonly IdRange[];
  readonly gidMap: readonly IdRange[];
  readonly sharedDir: string;
  /** Somebody outside guards mapped files against truncation. */
  readonly guarded: boolean;
  /** Stays reachable, too. */
  readonly stateDir: string | undefined;
  /** Who may connect, too, as numbered where the process is; -1: nobody. */
  readonly socketGroup: number;
  /** A socket that the process was started with; undefined: it makes one. */
  readonly fd: number | undefined;
  /** Socket files of the process: removed from outside when it ends. */
  readonly sockets: readonly string[];
  /** File handles lead to files without a known path, which Landlock refuses. */
  readonly landlock: boolean;
}
