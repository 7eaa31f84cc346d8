/** Boots a guest: one QEMU process, its control channel, its console and a shell inside. */
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { GuestEnvironment } from './src/environment.ts';
import { brief, GuestError, tail } from './src/errors.ts';
import { buildInitramfs } from './src/initramfs.ts';
import { listenOnce } from './src/listener.ts';
import { HostProcess, type ProcessExit } from './src/process.ts';
import { QmpClient, type QmpEvent } from './src/qmp.ts';
import { type CommandResult, ShellChannel } from './src/shell.ts';
import { withTimeout } from './src/wait.ts';

/** What to boot. */
export interface BootOptions {
  readonly environment: GuestEnvironment;
  /** Guest RAM, one shared memfd; default 1024. */
  readonly memoryMiB?: number;
  /** Virtual CPUs; default 2. */
  readonly smp?: number;
  /** More QEMU arguments, such as {@link vhostUserFs}. */
  readonly qemuArgs?: readonly string[];
  /** More kernel parameters. */
  readonly append?: string;
  /** An initramfs; default: the plain one. Not used with {@link root}. */
  readonly initramfs?: string;
  /** Boot without an initramfs from the virtio-fs share of this tag; its tree comes from `buildRootTree`. */
  readonly root?: { readonly tag: string; readonly flags?: string };
  /** A reboot of the guest starts it again instead of ending QEMU. */
  readonly mayReboot?: boolean;
  /** Waits for a VM from another QEMU at this migration address instead of booting; all else is as it is there. */
  readonly incoming?: string;
  /** Limit for the boot until the shell answers; default 90 000 (4-8 s is usual under TCG). */
  readonly bootTimeoutMs?: number;
}

/** Limits for {@link Guest.run}. */
export interface RunOptions {
  /** Default 60 000. */
  readonly timeoutMs?: number;
}

/** The chardev and device of a `vhost-user-fs-pci`, as virtiofsd serves it. @param requestQueues - as many as the back-end has */
export function vhostUserFs(socketPath: string, tag: string, id = 'fs', requestQueues = 1): string[] {
  const device = `vhost-user-fs-pci,chardev=${id},tag=${tag},num-request-queues=${requestQueues}`;
  return ['-chardev', `socket,id=${id},path=${socketPath}`, '-device', device];
}

/** The properties of a `vhost-user-test-device-pci`, the stock way to a device with shared memory. */
export interface TestDeviceOptions {
  readonly socketPath: string;
  /** 26 for virtio-fs, 16 for virtio-gpu. */
  readonly virtioId: number;
  readonly queueCount?: number;
  readonly queueSize?: number;
  /** Bytes; virtio-fs 44, virtio-gpu 16. Above 256 QEMU aborts. */
  readonly configSize: number;
  readonly id?: string;
}

/** The chardev and device of a back-end with a shared memory region. */
export function vhostUserTestDevice(options: TestDeviceOptions): string[] {
  const { socketPath, virtioId, queueCount = 2, queueSize = 128, configSize, id = `dev${virtioId}` } = options;
  const device = `virtio-id=${virtioId},num_vqs=${queueCount},vq_size=${queueSize},config_size=${configSize}`;
  return [
    ...['-chardev', `socket,id=${id},path=${socketPath}`],
    ...['-device', `vhost-user-test-device-pci,chardev=${id},${device}`],
  ];
}

/** A running guest. Dispose it: that ends QEMU and removes its files. */
export class Guest {
  /** Milliseconds from the start of QEMU to the first shell prompt. */
  readonly bootMs: number;
  readonly #qemu: HostProcess;
  readonly #dir: string;
  readonly #qmp: QmpClient;
  readonly #shell: ShellChannel;
  #console: string | undefined;

  constructor(parts: {
    readonly qemu: HostProcess;
    readonly dir: string;
    readonly qmp: QmpClient;
    readonly shell: ShellChannel;
    readonly bootMs: number;
  }) {
    this.#qemu = parts.qemu;
    this.#dir = parts.dir;
    this.#qmp = parts.qmp;
    this.#shell = parts.shell;
    this.bootMs = parts.bootMs;
  }

  get pid(): number {
    return this.#qemu.pid;
  }

  /** False once QEMU has ended, however it did. */
  get alive(): boolean {
    return this.#qemu.alive;
  }

  /** What QEMU wrote to stderr so far. */
  get stderr(): string {
    return this.#qemu.stderr;
  }

  /** QMP events so far, oldest first (SHUTDOWN, STOP, GUEST_PANICKED, ...). */
  get events(): readonly QmpEvent[] {
    return this.#qmp.events;
  }

  /** The guest's serial console so far; still there after disposal. */
  consoleLog(): string {
    return this.#console ?? readConsole(this.#dir);
  }

  /**
   * Runs a shell script in the guest, after the ones before it have ended; no state stays between two calls.
   * @throws GuestError ERR_GUEST_TIMEOUT (the channel is then busy for good: kill the guest), ERR_GUEST_EXITED
   */
  async run(script: string, options: RunOptions = {}): Promise<CommandResult> {
    const timeoutMs = options.timeoutMs ?? 60_000;
    const running = this.#shell.run(script).catch(async (error: unknown) => {
      // The channel closes a moment before the process is reaped: wait for that to say how it ended.
      await this.#qemu.exited;
      throw this.#error('ERR_GUEST_EXITED', `QEMU ended during: ${brief(script)}`, error);
    });
    return withTimeout(running, timeoutMs, () =>
      this.#error(
        'ERR_GUEST_TIMEOUT',
        `no end after ${timeoutMs} ms of: ${brief(script)}\nso far: ${tail(this.#shell.pending)}`,
      ),
    );
  }

  /**
   * Like {@link run}, and a status other than 0 is an error.
   * @returns the output
   * @throws GuestError ERR_GUEST_COMMAND with the output, and as {@link run}
   */
  async ok(script: string, options: RunOptions = {}): Promise<string> {
    const { code, output } = await this.run(script, options);
    if (code !== 0) throw new GuestError('ERR_GUEST_COMMAND', `status ${code} of: ${brief(script)}\n${tail(output)}`);
    return output;
  }

  /**
   * Runs a QMP command.
   * @throws GuestError ERR_GUEST_QMP, ERR_GUEST_EXITED, ERR_GUEST_TIMEOUT
   */
  qmp(command: string, args?: Readonly<Record<string, unknown>>, options: RunOptions = {}): Promise<unknown> {
    const timeoutMs = options.timeoutMs ?? 10_000;
    const late = () => this.#error('ERR_GUEST_TIMEOUT', `QMP ${command} was not answered in ${timeoutMs} ms`);
    return withTimeout(this.#qmp.execute(command, args), timeoutMs, late);
  }

  /** Runs a command of QEMU's human monitor. @returns its text */
  async monitor(line: string): Promise<string> {
    return (await this.qmp('human-monitor-command', { 'command-line': line })) as string;
  }

  /** Waits for the end of QEMU. @throws GuestError ERR_GUEST_TIMEOUT; QEMU is left running */
  waitExit(options: RunOptions = {}): Promise<ProcessExit> {
    const timeoutMs = options.timeoutMs ?? 30_000;
    const late = () => this.#error('ERR_GUEST_TIMEOUT', `QEMU did not end in ${timeoutMs} ms`);
    return withTimeout(this.#qemu.exited, timeoutMs, late);
  }

  /** Powers the guest off from inside, and waits for the end of QEMU. @throws as {@link waitExit} */
  poweroff(options: RunOptions = {}): Promise<ProcessExit> {
    this.#shell.send('sync; poweroff -f');
    return this.waitExit(options);
  }

  /** Reboots the guest from inside and waits for its next shell; it must have been booted with `mayReboot`. */
  async reboot(options: RunOptions = {}): Promise<void> {
    const timeoutMs = options.timeoutMs ?? 90_000;
    this.#shell.send('sync; reboot -f');
    const late = () => this.#error('ERR_GUEST_TIMEOUT', `no shell ${timeoutMs} ms after a reboot`);
    const ready = this.#shell.ready().catch(async (error: unknown) => {
      await this.#qemu.exited;
      throw this.#error('ERR_GUEST_EXITED', 'QEMU ended during a reboot', error);
    });
    await withTimeout(ready, timeoutMs, late);
  }

  /** Ends QEMU at once (SIGKILL, its own pid) and waits for that. */
  async kill(): Promise<ProcessExit> {
    this.#qemu.kill('SIGKILL');
    return this.#qemu.exited;
  }

  /** Kills QEMU where it still runs, and removes the run folder (kept where `ORIEL_KEEP_RUN` is set). */
  async close(): Promise<void> {
    await this.kill();
    this.#console ??= readConsole(this.#dir);
    this.#shell.close();
    this.#qmp.close();
    removeRun(this.#dir);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #error(code: 'ERR_GUEST_TIMEOUT' | 'ERR_GUEST_EXITED', what: string, cause?: unknown): GuestError {
    return new GuestError(code, `${what}\n${lastWords(this.#qemu, this.consoleLog())}`, { cause });
  }
}

/**
 * Boots a guest and waits for its shell.
 * @throws GuestError ERR_GUEST_EXITED (QEMU refused its arguments, the kernel panicked), ERR_GUEST_TIMEOUT; nothing
 *   is left running
 */
export async function bootGuest(options: BootOptions): Promise<Guest> {
  const { environment, bootTimeoutMs = 90_000 } = options;
  const initramfs = options.root === undefined ? (options.initramfs ?? (await buildInitramfs(environment))) : undefined;
  const dir = mkdtempSync(join(tmpdir(), 'oriel-guest-'));
  const [qmpListener, shellListener] = [
    await listenOnce(join(dir, 'qmp.sock')),
    await listenOnce(join(dir, 'shell.sock')),
  ];
  const start = performance.now();
  const command = [...environment.qemu.command, ...qemuArguments(options, dir, initramfs)];
  const qemu = HostProcess.start(command, { env: environment.qemu.env, name: 'QEMU' });
  const opened: { close(): void }[] = [qmpListener, shellListener];
  const failed = qemu.exited.then((): never => {
    throw new GuestError('ERR_GUEST_EXITED', `QEMU ended during the boot\n${lastWords(qemu, readConsole(dir))}`);
  });
  failed.catch(() => {});
  const connect = async () => {
    const qmp = new QmpClient(await qmpListener.connected);
    opened.push(qmp);
    await qmp.ready;
    const shell = new ShellChannel(await shellListener.connected);
    opened.push(shell);
    // A guest that comes from elsewhere has said so there.
    if (options.incoming === undefined) await shell.ready();
    return new Guest({ qemu, dir, qmp, shell, bootMs: Math.round(performance.now() - start) });
  };
  const connecting = connect().catch(async (error: unknown) => {
    // A closed channel is only the echo of QEMU's end, and that says more.
    if (error instanceof GuestError && error.code === 'ERR_GUEST_EXITED') return failed;
    throw error;
  });
  try {
    return await withTimeout(Promise.race([connecting, failed]), bootTimeoutMs, () => {
      return new GuestError(
        'ERR_GUEST_TIMEOUT',
        `no shell after ${bootTimeoutMs} ms\n${lastWords(qemu, readConsole(dir))}`,
      );
    });
  } catch (error) {
    qemu.kill('SIGKILL');
    await qemu.exited;
    for (const one of opened) one.close();
    connecting.catch(() => {});
    removeRun(dir);
    throw error;
  }
}

function qemuArguments(options: BootOptions, dir: string, initramfs: string | undefined): string[] {
  const { environment, memoryMiB = 1024, smp = 2, root } = options;
  const rootFlags = root?.flags === undefined ? [] : [`rootflags=${root.flags}`];
  const rootWords =
    root === undefined ? [] : [`root=${root.tag}`, 'rootfstype=virtiofs', ...rootFlags, 'rw', 'init=/init'];
  // On a host with too much to do the kernel's test of its timer fails under TCG ("IO-APIC + timer doesn't work!").
  const words = ['console=ttyS0', 'panic=-1', 'loglevel=6', 'no_timer_check', ...rootWords, options.append ?? ''];
  const append = words.join(' ').trim();
  return [
    ...['-nodefaults', '-no-user-config', '-display', 'none', ...(options.mayReboot ? [] : ['-no-reboot'])],
    ...['-machine', 'q35,memory-backend=mem', '-accel', 'tcg,thread=multi', '-cpu', 'max'],
    ...['-smp', String(smp), '-m', String(memoryMiB)],
    // Back-ends map guest RAM by its fd: it must be shared.
    ...['-object', `memory-backend-memfd,id=mem,size=${memoryMiB}M,share=on`],
    ...['-kernel', environment.kernel.image, '-append', append],
    ...(initramfs === undefined ? [] : ['-initrd', initramfs]),
    ...['-chardev', `file,id=console,path=${dir}/console.log`, '-serial', 'chardev:console'],
    ...['-chardev', `socket,id=shell,path=${dir}/shell.sock`, '-serial', 'chardev:shell'],
    ...['-chardev', `socket,id=qmp,path=${dir}/qmp.sock`, '-object', 'monitor-qmp,id=monitor,chardev=qmp'],
    ...(options.incoming === undefined ? [] : ['-incoming', options.incoming]),
    ...(options.qemuArgs ?? []),
  ];
}

function readConsole(dir: string): string {
  const path = join(dir, 'console.log');
  return existsSync(path) ? readFileSync(path, 'utf8').replaceAll('\r', '') : '';
}

function lastWords(qemu: HostProcess, console: string): string {
  const end = qemu.exit === undefined ? 'still running' : `ended (${qemu.exit.signal ?? qemu.exit.code})`;
  return `QEMU ${end}; stderr:\n${tail(qemu.stderr)}\nconsole:\n${tail(console)}`;
}

function removeRun(dir: string): void {
  if (!process.env['ORIEL_KEEP_RUN']) rmSync(dir, { recursive: true, force: true });
}
