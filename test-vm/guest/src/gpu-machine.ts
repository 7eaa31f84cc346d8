/** `oriel gpu` and a running stock guest with its device: what the GPU suites begin with. */
import { existsSync, mkdirSync, readFileSync, watch } from 'node:fs';
import { join } from 'node:path';
import { type BootOptions, bootGuest, type Guest, vhostUserTestDevice } from '../boot.ts';
import { DbusBus } from './dbus-bus.ts';
import type { GuestEnvironment } from './environment.ts';
import { buildInitramfs } from './initramfs.ts';
import { GPU_MODULES } from './modules.ts';
import { orielCtl, startOrielGpu } from './oriel.ts';
import { type Picture, pictureDifference, readPng } from './picture.ts';
import type { HostProcess } from './process.ts';

/** The virtio id and configuration size of virtio-gpu. */
const VIRTIO_GPU = { virtioId: 16, configSize: 20 } as const;
/** Size of the display that QEMU is told of. */
const MILLIMETRES = { width: 300, height: 200 } as const;
/** How long a picture may take to its display. */
const SHOWN_MS = 15_000;

export interface GpuMachineOptions {
  readonly environment: GuestEnvironment;
  /** A folder of the caller's for sockets and pictures. */
  readonly dir: string;
  /**
   * `test` (the default): `vhost-user-test-device-pci`, with blobs, shown headless. `display`: `vhost-user-gpu-pci`, shown by
   * QEMU.
   */
  readonly device?: 'test' | 'display';
  readonly hostVisible?: string;
  readonly outputs?: string;
  /** More options of `oriel gpu`. */
  readonly args?: readonly string[];
  readonly logLevel?: 'info' | 'debug' | 'trace';
  readonly boot?: Partial<BootOptions>;
}

/** The display from outside: QEMU's own view, or with the test device that of the headless sink. */
export interface Screen {
  /**
   * Looks until `wrong` gives undefined, since drawing is asynchronous down to the screen.
   * @returns undefined, or what was wrong at last
   */
  until(wrong: (picture: Picture) => string | undefined): Promise<string | undefined>;
}

/** Guest and back-end; disposing ends both. */
export interface GpuMachine extends AsyncDisposable {
  readonly guest: Guest;
  readonly backend: HostProcess;
  readonly socketPath: string;
  /** For `orielCtl`. */
  readonly controlSocket: string;
  readonly screen: Screen;
  /** With the display device: tells QEMU that its window has another size, as a person's display would. */
  resize(width: number, height: number): Promise<void>;
  /**
   * Waits until the display shows the expected picture.
   * @param what - `cursor`: the cursor is part of it, which only the headless display can tell
   * @throws Error that says what is different
   */
  shows(expected: Picture, what?: 'picture' | 'cursor'): Promise<void>;
}

/** QEMU arguments for a GPU with blobs at a socket. */
export function orielGpuDevice(socketPath: string, id = 'gpu'): string[] {
  return vhostUserTestDevice({ socketPath, queueSize: 256, id, ...VIRTIO_GPU });
}

/**
 * QEMU arguments for a GPU of 2D alone whose displays are QEMU's. Of QEMU's own displays only D-Bus takes this device where
 * there is no GL; VNC never does (QEMU 11.1.3).
 */
export function orielDisplayDevice(socketPath: string, id = 'gpu'): string[] {
  return ['-chardev', `socket,id=${id},path=${socketPath}`, '-device', `vhost-user-gpu-pci,chardev=${id}`];
}

/** Asks for one picture after the other. */
function asking(picture: () => Promise<Picture>): Screen {
  return {
    until: async (wrong) => {
      const end = performance.now() + SHOWN_MS;
      for (;;) {
        const why = wrong(await picture());
        if (why === undefined || performance.now() > end) return why;
      }
    },
  };
}

function qemuScreen(guest: Guest, dir: string): Screen {
  const filename = join(dir, 'screendump.png');
  return asking(async () => {
    await guest.qmp('screendump', { filename, format: 'png' });
    return readPng(readFileSync(filename));
  });
}

/** The headless sink's picture with the cursor in it. */
function withCursorDrawn(controlSocket: string, dir: string): Screen {
  const file = join(dir, 'with-cursor.png');
  return asking(async () => {
    await orielCtl(controlSocket, '--cursor', 'screenshot', file);
    return readPng(readFileSync(file));
  });
}

/** The file is replaced whenever the display shows something else. */
function headless(dir: string): Screen {
  return {
    until: (wrong) =>
      new Promise((resolve, reject) => {
        let why: string | undefined = 'there is no picture';
        const watcher = watch(dir);
        const finish = (settle: () => void) => {
          clearTimeout(timer);
          watcher.close();
          settle();
        };
        const timer = setTimeout(() => finish(() => resolve(why)), SHOWN_MS);
        const look = (_event?: string, file?: string | null) => {
          if (file !== 'scanout-0.png' || !existsSync(join(dir, file))) return;
          try {
            why = wrong(readPng(readFileSync(join(dir, file))));
            if (why === undefined) finish(() => resolve(undefined));
          } catch (error) {
            finish(() => reject(error as Error));
          }
        };
        watcher.on('change', look as (event: string, file: string | Buffer) => void);
        look('change', 'scanout-0.png');
      }),
  };
}

/** Starts the back-end, then boots a guest whose init loads the GPU driver. */
export async function openGpuMachine(options: GpuMachineOptions): Promise<GpuMachine> {
  const { environment, dir, device = 'test', args = [], boot = {} } = options;
  const socketPath = join(dir, 'gpu.sock');
  const controlSocket = join(dir, 'control.sock');
  const screenshotDir = join(dir, 'screenshots');
  mkdirSync(screenshotDir);
  const backend = await startOrielGpu({ ...options, socketPath, controlSocket, screenshotDir, args });
  try {
    const bus = device === 'display' ? await DbusBus.listen(join(dir, 'bus.sock')) : undefined;
    const display = bus === undefined ? [] : ['-display', `dbus,addr=${bus.address}`];
    const own = device === 'test' ? orielGpuDevice(socketPath) : orielDisplayDevice(socketPath);
    const initramfs = await buildInitramfs(environment, { modules: GPU_MODULES });
    const guest = await bootGuest({
      environment,
      initramfs,
      ...boot,
      qemuArgs: [...own, ...display, ...(boot.qemuArgs ?? [])],
    });
    const dispose = async (): Promise<void> => {
      await guest.close();
      await bus?.close();
      await backend.stop();
    };
    const resize = async (width: number, height: number): Promise<void> => {
      await bus?.call('/org/qemu/Display1/Console_0', 'org.qemu.Display1.Console', 'SetUIInfo', [
        ['q', MILLIMETRES.width],
        ['q', MILLIMETRES.height],
        ['i', 0],
        ['i', 0],
        ['u', width],
        ['u', height],
      ]);
    };
    const screen = device === 'test' ? headless(screenshotDir) : qemuScreen(guest, dir);
    const cursorScreen = withCursorDrawn(controlSocket, dir);
    const shows = async (expected: Picture, what: 'picture' | 'cursor' = 'picture'): Promise<void> => {
      const seen = what === 'picture' ? screen : cursorScreen;
      const difference = await seen.until((picture) => pictureDifference(picture, expected));
      if (difference !== undefined) throw new Error(`the display shows something else: ${difference}`);
    };
    return { guest, backend, socketPath, controlSocket, screen, resize, shows, [Symbol.asyncDispose]: dispose };
  } catch (error) {
    await backend.stop();
    throw error;
  }
}
