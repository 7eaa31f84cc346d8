/** What compositors on the host have in common, and clients of theirs: all from the tree of `waylandTree()`. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type ExecOptions, exec } from './exec.ts';
import { type Picture, readPng } from './picture.ts';
import { HostProcess } from './process.ts';
import { fontSettings, MIME_FILES, PROGRAM_ENVIRONMENT } from './wayland-settings.ts';

export interface CompositorOptions {
  /** Of the tree. */
  readonly root: string;
  /** A folder for its socket; the same one again gives the same socket. Made when missing. */
  readonly dir: string;
  /** Added to its environment. */
  readonly env?: Readonly<Record<string, string>>;
}

/** Programs of the tree on the host, with one folder for what they share. */
export class HostPrograms {
  readonly root: string;
  readonly dir: string;
  readonly env: Readonly<Record<string, string>>;

  constructor({ root, dir }: CompositorOptions) {
    this.root = root;
    this.dir = dir;
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    const fonts = join(dir, 'fonts.conf');
    writeFileSync(fonts, fontSettings(join(root, 'usr/share/fonts'), join(dir, 'fonts')));
    const mime = join(dir, 'share/mime');
    mkdirSync(mime, { recursive: true });
    for (const [name, text] of Object.entries(MIME_FILES)) writeFileSync(join(mime, name), text, 'latin1');
    this.env = {
      ...PROGRAM_ENVIRONMENT,
      XDG_RUNTIME_DIR: dir,
      XDG_DATA_HOME: join(dir, 'share'),
      XDG_DATA_DIRS: join(root, 'usr/share'),
      XKB_CONFIG_ROOT: join(root, 'usr/share/X11/xkb'),
      WESTON_DATA_DIR: join(root, 'usr/share/weston'),
      FONTCONFIG_FILE: fonts,
      HOME: dir,
    };
  }

  /** The words that run a program of the tree by the tree's own loader. */
  command(path: string): string[] {
    const lib = join(this.root, 'usr/lib/x86_64-linux-gnu');
    const program = join(this.root, path);
    const folders = [lib, join(lib, 'weston'), join(lib, 'libweston-14')].join(':');
    return [join(lib, 'ld-linux-x86-64.so.2'), '--library-path', folders, '--argv0', program, program];
  }
}

/** A compositor that runs. Disposing ends it. */
export class Compositor implements AsyncDisposable {
  readonly process: HostProcess;
  /** Path of its Wayland socket. */
  readonly socketPath: string;
  readonly #programs: HostPrograms;
  readonly #env: Readonly<Record<string, string>>;
  readonly #shoot: (compositor: Compositor, file: string) => Promise<unknown>;

  constructor(
    process: HostProcess,
    programs: HostPrograms,
    display: string,
    shoot: (compositor: Compositor, file: string) => Promise<unknown>,
  ) {
    this.process = process;
    this.socketPath = join(programs.dir, display);
    this.#programs = programs;
    this.#env = { ...programs.env, WAYLAND_DISPLAY: display };
    this.#shoot = shoot;
  }

  /** Starts a client of the tree's `usr/bin` on the host. */
  start(program: string, ...args: readonly string[]): HostProcess {
    return HostProcess.start([...this.#programs.command(`usr/bin/${program}`), ...args], {
      env: this.#env,
      name: program,
    });
  }

  /** Runs such a client to its end. @returns its stdout @throws GuestError ERR_GUEST_COMMAND */
  run(program: string, args: readonly string[] = [], options: ExecOptions = {}): Promise<string> {
    const env = { ...this.#env, ...options.env };
    return exec([...this.#programs.command(`usr/bin/${program}`), ...args], { ...options, env });
  }

  /** Runs a script with the words of a client as `"$@"`: for what is read and written. */
  startShell(script: string, program: string, ...args: readonly string[]): HostProcess {
    const words = this.#programs.command(`usr/bin/${program}`);
    return HostProcess.start(['sh', '-c', script, 'sh', ...words, ...args], { env: this.#env, name: program });
  }

  /** What the output shows. */
  async screenshot(): Promise<Picture> {
    const file = join(this.#programs.dir, 'screenshot.png');
    await this.#shoot(this, file);
    return readPng(readFileSync(file));
  }

  /**
   * Looks at the output until `wrong` gives undefined: programs draw when they like.
   * @returns undefined, or what was wrong at last
   */
  async until(wrong: (picture: Picture) => string | undefined, timeoutMs = 20_000): Promise<string | undefined> {
    const end = performance.now() + timeoutMs;
    for (;;) {
      const why = wrong(await this.screenshot());
      if (why === undefined || performance.now() > end) return why;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.process.stop();
  }
}

/** Waits until a compositor says that it is up, or ends it. @throws GuestError ERR_GUEST_EXITED with its words, ERR_GUEST_TIMEOUT */
export async function ready(process: HostProcess, pattern: RegExp): Promise<void> {
  try {
    await process.waitOutput(pattern);
  } catch (error) {
    await process.stop();
    throw error;
  }
}
