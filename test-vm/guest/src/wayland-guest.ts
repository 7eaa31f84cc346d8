/**
 * A guest whose programs show their windows on a compositor of the host: `oriel gpu` with a channel to it, a share with the tree
 * of `waylandTree()` and one with the bundle of apps/wayland-proxy, which brings its own Node.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type BootOptions, bootGuest, type Guest, vhostUserFs } from '../boot.ts';
import type { GuestEnvironment } from './environment.ts';
import { GuestError, tail } from './errors.ts';
import { exec } from './exec.ts';
import { orielGpuDevice } from './gpu-machine.ts';
import { buildInitramfs } from './initramfs.ts';
import { GPU_MODULES } from './modules.ts';
import { startOrielGpu } from './oriel.ts';
import type { HostProcess } from './process.ts';
import { startVirtiofsd } from './virtiofsd.ts';
import { fontSettings, MIME_FILES, PROGRAM_ENVIRONMENT } from './wayland-settings.ts';

/** Where the guest mounts the tree, and in it the bundle. */
const ROOT = '/wl';
const BUNDLE = '/home';
const RUN = '/run/user';
const DISPLAY = 'wayland-0';
const PROXY_MS = 60_000;

const APP = fileURLToPath(new URL('../../../apps/wayland-proxy/', import.meta.url));
let bundled: Promise<unknown> | undefined;

/** Makes the folder that guests run `oriel-wayland` from; once in a process. @throws GuestError ERR_GUEST_COMMAND */
export async function waylandBundle(): Promise<string> {
  bundled ??= exec(['npm', 'run', '--silent', 'bundle'], { cwd: APP, timeoutMs: 120_000 });
  await bundled;
  return join(APP, 'dist/guest');
}

export interface WaylandMachineOptions {
  readonly environment: GuestEnvironment;
  /** A folder of the caller's for sockets. */
  readonly dir: string;
  /** Of `waylandTree()`. */
  readonly root: string;
  /** The socket of the compositor on the host. */
  readonly compositor: string;
  /** More options of `oriel gpu`. */
  readonly args?: readonly string[];
  readonly boot?: Partial<BootOptions>;
}

const quoted = (word: string): string => `'${word.replaceAll("'", `'\\''`)}'`;
const put = (path: string, text: string): string =>
  `echo ${Buffer.from(text, 'latin1').toString('base64')} | base64 -d >${path}`;

/** A program of the tree that runs in the guest. */
export class GuestClient {
  readonly #guest: Guest;
  readonly #name: string;

  constructor(guest: Guest, name: string) {
    this.#guest = guest;
    this.#name = name;
  }

  /** What it wrote to stdout and stderr. */
  log(): Promise<string> {
    return this.#guest.ok(`cat /tmp/${this.#name}.log`);
  }

  /** Waits until that matches. @returns the log @throws GuestError ERR_GUEST_TIMEOUT with the log */
  async logWhen(pattern: RegExp, timeoutMs = 30_000): Promise<string> {
    const end = performance.now() + timeoutMs;
    for (;;) {
      const log = await this.log();
      if (pattern.test(log)) return log;
      if (performance.now() > end)
        throw new GuestError('ERR_GUEST_TIMEOUT', `${String(pattern)} is not in: ${tail(log)}`);
    }
  }

  async signal(signal: 'TERM' | 'KILL' | 'STOP' | 'CONT'): Promise<void> {
    await this.#guest.ok(`kill -${signal} $(cat /tmp/${this.#name}.pid)`);
  }

  /** Waits for its end. @returns its status as a shell gives it @throws GuestError ERR_GUEST_COMMAND when it goes on */
  async ended(seconds = 30): Promise<number> {
    return Number(await this.#guest.ok(`timeout ${seconds} head -n 1 /tmp/${this.#name}.end`));
  }
}

/** Guest, back-end and shares; disposing ends them. */
export class WaylandMachine implements AsyncDisposable {
  readonly guest: Guest;
  readonly backend: HostProcess;
  /** For `orielCtl`. */
  readonly controlSocket: string;
  readonly #shares: readonly HostProcess[];
  #clients = 0;

  private constructor(guest: Guest, backend: HostProcess, controlSocket: string, shares: readonly HostProcess[]) {
    this.guest = guest;
    this.controlSocket = controlSocket;
    this.backend = backend;
    this.#shares = shares;
  }

  /** Boots, and returns when `oriel-wayland` takes clients. @throws GuestError of all kinds */
  static async open(options: WaylandMachineOptions): Promise<WaylandMachine> {
    const { environment, dir, root, compositor, args = [], boot = {} } = options;
    mkdirSync(dir, { recursive: true });
    const [treeSocket, bundleSocket, gpuSocket] = ['tree', 'bundle', 'gpu'].map((name) =>
      join(dir, `${name}.sock`),
    ) as [string, string, string];
    const controlSocket = join(dir, 'control.sock');
    const processes: HostProcess[] = [];
    try {
      const share = async (socketPath: string, sharedDir: string) =>
        processes.push(
          await startVirtiofsd(environment, { socketPath, sharedDir, cache: 'always', args: ['--readonly'] }),
        );
      await share(treeSocket, root);
      await share(bundleSocket, await waylandBundle());
      const channel = [`--channel=wayland=${compositor}`, ...args];
      const backend = await startOrielGpu({ socketPath: gpuSocket, controlSocket, outputs: 'none', args: channel });
      processes.push(backend);
      const shares = [...vhostUserFs(treeSocket, 'tree', 'tree'), ...vhostUserFs(bundleSocket, 'bundle', 'bundle')];
      const guest = await bootGuest({
        environment,
        initramfs: await buildInitramfs(environment, { modules: GPU_MODULES }),
        ...boot,
        qemuArgs: [...orielGpuDevice(gpuSocket), ...shares, ...(boot.qemuArgs ?? [])],
      });
      const machine = new WaylandMachine(guest, backend, controlSocket, processes);
      try {
        await machine.#setUp();
        await machine.startProxy();
      } catch (error) {
        await guest.close();
        throw error;
      }
      return machine;
    } catch (error) {
      for (const process of processes) await process.stop();
      throw error;
    }
  }

  async #setUp(): Promise<void> {
    const mime = Object.entries(MIME_FILES).map(([name, text]) => put(`/tmp/share/mime/${name}`, text));
    await this.guest.ok(`mkdir -p ${ROOT} /tmp/share/mime && mount -t virtiofs -o ro tree ${ROOT} || exit 1
mount -t virtiofs -o ro bundle ${ROOT}${BUNDLE} || exit 1
for d in dev proc sys tmp; do mount --bind /$d ${ROOT}/$d || exit 1; done
mount -t devpts -o ptmxmode=666 devpts ${ROOT}/dev/pts && mount -t tmpfs run ${ROOT}/run && mkdir -m 700 ${ROOT}${RUN}
${put('/tmp/fonts.conf', fontSettings('/usr/share/fonts', '/tmp/fonts'))}
${mime.join('\n')}`);
  }

  /** The words of a shell that run a program of the tree as a client of the proxy. */
  command(...words: readonly string[]): string {
    const env = {
      ...PROGRAM_ENVIRONMENT,
      XDG_RUNTIME_DIR: RUN,
      XDG_DATA_HOME: '/tmp/share',
      WAYLAND_DISPLAY: DISPLAY,
      FONTCONFIG_FILE: '/tmp/fonts.conf',
      HOME: '/tmp',
      PATH: '/usr/bin',
    };
    const settings = Object.entries(env).map((pair) => quoted(pair.join('=')));
    return `chroot ${ROOT} /usr/bin/env -i ${settings.join(' ')} ${words.map(quoted).join(' ')}`;
  }

  /** What stands before a command of the guest's own system that is a client of the proxy. */
  settings(): string {
    return `XDG_RUNTIME_DIR=${ROOT}${RUN} WAYLAND_DISPLAY=${DISPLAY}`;
  }

  /** Starts `oriel-wayland` with a command that tells that its socket is there. */
  async startProxy(): Promise<void> {
    const up = '/tmp/proxy.up';
    const serve = this.command(`${BUNDLE}/oriel-wayland`, '--', 'sh', '-c', `echo up >${up}; exec sleep infinity`);
    await this.guest.ok(
      `rm -f ${up}; mkfifo ${up}; (${serve} >/tmp/proxy.log 2>&1; echo ended >${up}) &
timeout ${PROXY_MS / 1000} head -n 1 /tmp/proxy.up | grep -q up || { cat /tmp/proxy.log; exit 1; }`,
      { timeoutMs: PROXY_MS + 10_000 },
    );
  }

  /** What `oriel-wayland` wrote. */
  proxyLog(): Promise<string> {
    return this.guest.ok('cat /tmp/proxy.log');
  }

  /** Runs a client to its end. @returns what it wrote @throws GuestError ERR_GUEST_COMMAND */
  run(...words: readonly string[]): Promise<string> {
    return this.guest.ok(this.command(...words));
  }

  /** Starts a client that goes on. */
  async start(...words: readonly string[]): Promise<GuestClient> {
    const name = `client${this.#clients++}`;
    await this.guest.ok(`mkfifo /tmp/${name}.end
(sh -c ${quoted(`echo $$ >/tmp/${name}.pid; exec ${this.command(...words)}`)} >/tmp/${name}.log 2>&1; echo $? >/tmp/${name}.end) &`);
    return new GuestClient(this.guest, name);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.guest.close();
    await this.backend.stop();
    for (const share of this.#shares) await share.stop();
  }
}
