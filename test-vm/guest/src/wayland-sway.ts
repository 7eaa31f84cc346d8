/** sway on the host, headless and drawing with pixman. */
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { GuestError, tail } from './errors.ts';
import { HostProcess } from './process.ts';
import { Compositor, type CompositorOptions, HostPrograms, ready } from './wayland-host.ts';

/** Size of its one output. */
export const SWAY_OUTPUT = { width: 1600, height: 1024 } as const;
const CLIPBOARD_MS = 20_000;

/** Windows keep the size that they ask for and lie where the tests put them; nothing is drawn around them. */
const SWAY_CONFIG = `xwayland disable
output HEADLESS-1 mode ${SWAY_OUTPUT.width}x${SWAY_OUTPUT.height}
default_border none
default_floating_border none
focus_follows_mouse no
for_window [app_id=".*"] floating enable, move position 0 0
exec echo sway is up
`;

/** A window as `swaymsg -t get_tree` tells it. */
export interface SwayWindow {
  readonly id: number;
  readonly app_id: string;
  readonly name: string;
  readonly focused: boolean;
  readonly rect: { readonly x: number; readonly y: number; readonly width: number; readonly height: number };
}

interface SwayNode extends SwayWindow {
  readonly pid?: number;
  readonly nodes?: readonly SwayNode[];
  readonly floating_nodes?: readonly SwayNode[];
}

function windowsIn(node: SwayNode): SwayWindow[] {
  const below = [...(node.nodes ?? []), ...(node.floating_nodes ?? [])].flatMap(windowsIn);
  return node.pid === undefined ? below : [node, ...below];
}

/** sway: with a seat, a clipboard and security contexts. */
export class Sway extends Compositor {
  /** Says something to it, as `swaymsg` does. */
  message(...args: readonly string[]): Promise<string> {
    return this.run('swaymsg', ['-s', join(this.dir, 'ipc.sock'), ...args]);
  }

  get dir(): string {
    return join(this.socketPath, '..');
  }

  /** Asks a window to close, as its button would. */
  async close({ id }: SwayWindow): Promise<void> {
    await this.message(`[con_id=${id}] kill`);
  }

  async windows(): Promise<SwayWindow[]> {
    return windowsIn(JSON.parse(await this.message('-r', '-t', 'get_tree')) as SwayNode);
  }

  /**
   * Waits until the windows are as wanted: looks again at each event of the compositor.
   * @throws GuestError ERR_GUEST_TIMEOUT
   */
  async windowsWhen(wanted: (windows: readonly SwayWindow[]) => boolean, timeoutMs = 30_000): Promise<SwayWindow[]> {
    const events = this.start(
      'swaymsg',
      '-s',
      join(this.dir, 'ipc.sock'),
      '-r',
      '-m',
      '-t',
      'subscribe',
      '["window", "tick"]',
    );
    try {
      // The first tick says that the subscription stands: from now on nothing is missed.
      await events.waitOutput(/"tick"|"first"/);
      const end = performance.now() + timeoutMs;
      for (;;) {
        const seen = events.stdout.length;
        const windows = await this.windows();
        if (wanted(windows)) return windows;
        await events.waitOutput(new RegExp(`[^]{${seen + 1}}`), Math.max(1, end - performance.now()));
      }
    } finally {
      await events.stop();
    }
  }

  /** Waits until the clipboard is this text. @throws GuestError ERR_GUEST_TIMEOUT */
  clipboardWhen(text: string): Promise<void> {
    return this.#clipboardUntil((now) => now === text, '-n');
  }

  /** Waits until the clipboard can be had as this type. @throws GuestError ERR_GUEST_TIMEOUT */
  clipboardHas(type: string): Promise<void> {
    return this.#clipboardUntil((now) => now.split('\n').includes(type), '--list-types');
  }

  /** Asks again and again: `wl-paste` fails as long as there is nothing. */
  async #clipboardUntil(wanted: (now: string) => boolean, ...args: readonly string[]): Promise<void> {
    const end = performance.now() + CLIPBOARD_MS;
    for (;;) {
      const now = await this.run('wl-paste', args).catch((error: Error) => error.message);
      if (wanted(now)) return;
      if (performance.now() > end) throw new GuestError('ERR_GUEST_TIMEOUT', `the clipboard is: ${tail(now)}`);
    }
  }

  /** Moves a window. */
  async move({ id }: SwayWindow, x: number, y: number): Promise<void> {
    await this.message(`[con_id=${id}] move absolute position ${x} ${y}`);
  }
}

/** Starts sway. @throws GuestError ERR_GUEST_EXITED with its words, ERR_GUEST_TIMEOUT */
export async function startSway(options: CompositorOptions): Promise<Sway> {
  const programs = new HostPrograms(options);
  const config = join(options.dir, 'sway.conf');
  writeFileSync(config, SWAY_CONFIG);
  // One that was killed leaves it behind, and the next would not listen.
  rmSync(join(options.dir, 'ipc.sock'), { force: true });
  const env = {
    ...programs.env,
    WLR_BACKENDS: 'headless',
    WLR_RENDERER: 'pixman',
    WLR_LIBINPUT_NO_DEVICES: '1',
    SWAYSOCK: join(options.dir, 'ipc.sock'),
    ...options.env,
  };
  const process = HostProcess.start([...programs.command('usr/bin/sway'), '-c', config], { env, name: 'sway' });
  await ready(process, /sway is up/);
  return new Sway(process, programs, 'wayland-1', (sway, file) => sway.run('grim', [file]));
}
