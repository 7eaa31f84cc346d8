/** weston on the host, headless and drawing with pixman. */
import { mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { HostProcess } from './process.ts';
import { Compositor, type CompositorOptions, HostPrograms, ready } from './wayland-host.ts';

/** Size of its one output. */
export const WESTON_OUTPUT = { width: 640, height: 480 } as const;
/** The colour of its background, 0xRRGGBB. */
export const WAYLAND_BACKGROUND = 0x336699;

const WESTON_INI = `[core]
backend=headless
renderer=pixman
shell=desktop
require-input=false
idle-time=0
[input-method]
path=
[shell]
background-color=0xff${WAYLAND_BACKGROUND.toString(16)}
panel-position=none
locking=false
animation=none
startup-animation=none
close-animation=none
`;

/** Starts weston; it shows a plain background. @throws GuestError as {@link startSway} */
export async function startWestonOnHost(options: CompositorOptions): Promise<Compositor> {
  const programs = new HostPrograms(options);
  const { root, dir } = options;
  const ini = join(dir, 'weston.ini');
  const shell = join(dir, 'weston-desktop-shell');
  const lib = join(root, 'usr/lib/x86_64-linux-gnu');
  writeFileSync(ini, WESTON_INI);
  const words = programs.command('usr/libexec/weston-desktop-shell').map((word) => `'${word}'`);
  writeFileSync(shell, `#!/bin/sh\nexec ${words.join(' ')}\n`, { mode: 0o755 });
  const modules = {
    'headless-backend.so': join(lib, 'libweston-14/headless-backend.so'),
    'desktop-shell.so': join(lib, 'weston/desktop-shell.so'),
    'weston-desktop-shell': shell,
  };
  const env = {
    ...programs.env,
    WESTON_MODULE_MAP: Object.entries(modules)
      .map((pair) => pair.join('='))
      .join(';'),
  };
  const size = [`--width=${WESTON_OUTPUT.width}`, `--height=${WESTON_OUTPUT.height}`];
  const args = ['--debug', '--socket=wayland-1', '-c', ini, ...size];
  const process = HostProcess.start([...programs.command('usr/bin/weston'), ...args], { env, name: 'weston' });
  await ready(process, /launching '.*weston-desktop-shell'/);
  return new Compositor(process, programs, 'wayland-1', westonScreenshot);
}

/** The tool makes a file of its own in the folder where it runs. */
async function westonScreenshot(weston: Compositor, file: string): Promise<void> {
  const folder = `${file}.d`;
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder);
  await weston.run('weston-screenshooter', [], { cwd: folder });
  renameSync(join(folder, readdirSync(folder)[0]!), file);
}
