/**
 * Starts a back-end, holds what must outlive it, and starts it again when it dies: what systemd does for a service with
 * `Restart=on-failure` and `FileDescriptorStoreMax=`, by the same protocol, for hosts and VMMs without systemd.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { constants } from 'node:os';
import { type Logger, NodeLoop, type Sys } from '@oriel/sys';
import { HeldDescriptors } from './held-descriptors.ts';
import { parseNotifyMessage } from './notify-message.ts';
import { NotifySocket } from './notify-socket.ts';
import { RestartPolicy } from './restart-policy.ts';

/** Passed on; those that end the back-end end the launcher, too. */
const ENDING = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const;
const OTHERS = ['SIGUSR2', 'SIGCONT', 'SIGWINCH'] as const;
/** Sets LISTEN_PID, which only the child itself can know, and becomes the program (sd_listen_fds(3)). */
const SHELL = ['/bin/sh', '-c', 'LISTEN_PID=$$; export LISTEN_PID; exec "$@"', 'sh'] as const;

/** What is launched. */
export interface LaunchPlan {
  /** The program and its arguments. */
  readonly command: readonly string[];
  readonly env: NodeJS.ProcessEnv;
}

/** One launch, from the first start to the last end. */
class Launch {
  readonly #plan: LaunchPlan;
  readonly #log: Logger;
  readonly #held: HeldDescriptors;
  readonly #socket: NotifySocket;
  readonly #policy: RestartPolicy;
  readonly #ended: (status: number) => void;
  #child: ChildProcess | null = null;
  #wait: NodeJS.Timeout | undefined;
  /** The status of the last end, while the next start is awaited. */
  #lastStatus = 0;

  constructor(
    plan: LaunchPlan,
    log: Logger,
    parts: { readonly held: HeldDescriptors; readonly socket: NotifySocket; readonly policy: RestartPolicy },
    ended: (status: number) => void,
  ) {
    this.#plan = plan;
    this.#log = log;
    this.#held = parts.held;
    this.#socket = parts.socket;
    this.#policy = parts.policy;
    this.#ended = ended;
  }

  /** Starts the back-end with all that is held. */
  start(): void {
    const { names, fds } = this.#held.list();
    const [shell, ...script] = SHELL;
    const child = spawn(shell, [...script, ...this.#plan.command], {
      // A group of its own: what a terminal sends to its group reaches the child through here, once.
      detached: true,
      stdio: ['inherit', 'inherit', 'inherit', ...fds],
      env: {
        ...this.#plan.env,
        NOTIFY_SOCKET: this.#socket.path,
        LISTEN_FDS: String(fds.length),
        LISTEN_FDNAMES: names.join(':'),
      },
    });
    const startedMs = performance.now();
    this.#child = child;
    child.on('error', (error) => {
      this.#log.error(`cannot start: ${error.message}`);
      this.#ended(1);
    });
    child.on('exit', (code, signalName) => {
      this.#child = null;
      const signal = signalName === null ? null : constants.signals[signalName];
      this.#over({ code, signal, livedMs: performance.now() - startedMs }, signalName ?? `status ${code}`);
    });
  }

  /** A signal came. */
  signal(name: NodeJS.Signals, ends: boolean): void {
    if (ends) {
      this.#policy.stopping();
    }
    if (this.#child !== null) {
      this.#child.kill(name);
    } else if (ends) {
      clearTimeout(this.#wait);
      this.#ended(this.#lastStatus);
    }
  }

  #over(end: Parameters<RestartPolicy['judge']>[0], how: string): void {
    // What it stored last may still lie in the socket.
    this.#socket.drain();
    const verdict = this.#policy.judge(end);
    if (!verdict.again) {
      this.#ended(verdict.status);
      return;
    }
    this.#lastStatus = end.code ?? 1;
    this.#log.warn(`the back-end ended with ${how}, it starts again`, { held: this.#held.list().fds.length });
    this.#wait = setTimeout(() => this.start(), verdict.delayMs);
  }
}

/**
 * Runs a back-end until it ends by itself, cannot be set up, or a signal asks for it.
 * @returns the exit status
 */
export async function launch(sys: Sys, plan: LaunchPlan, log: Logger): Promise<number> {
  using held = new HeldDescriptors();
  using loop = new NodeLoop(sys);
  const policy = new RestartPolicy();
  let lost = 0;
  using socket = new NotifySocket(sys, loop, (bytes, fds) => {
    const message = parseNotifyMessage(bytes);
    if (message.ready) {
      policy.ready();
      log.info('the back-end is ready');
    }
    const dropped = held.take(message, fds);
    lost += dropped;
    // A guest may have a say in how many there are: so not one line each.
    if (dropped > 0 && Number.isInteger(Math.log2(lost))) {
      log.warn('a descriptor that the back-end sent is not held', { name: message.store, lost });
    }
  });
  loop.run();
  let finish: (status: number) => void = () => {};
  const end = new Promise<number>((resolve) => {
    finish = resolve;
  });
  const running = new Launch(plan, log, { held, socket, policy }, finish);
  const handlers = [
    ...ENDING.map((name) => [name, () => running.signal(name, true)] as const),
    ...OTHERS.map((name) => [name, () => running.signal(name, false)] as const),
  ];
  for (const [name, handler] of handlers) {
    process.on(name, handler);
  }
  try {
    running.start();
    return await end;
  } finally {
    for (const [name, handler] of handlers) {
      process.off(name, handler);
    }
    loop.stop();
  }
}
