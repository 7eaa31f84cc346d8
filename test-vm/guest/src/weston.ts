/** weston in the guest: a real compositor on the DRM device, drawing with pixman, from the tree of `displayTree()`. */
import type { Guest } from '../boot.ts';
import { type Picture, readPng } from './picture.ts';

/** Where the guest mounts the tree, and the folder that weston and its clients share. */
const ROOT = '/display';
const RUN = '/run/weston';

/** Its background is plain, so that a picture tells whether it drew; nothing moves by itself. */
const INI = `[core]
backend=drm
renderer=pixman
shell=desktop
require-input=false
idle-time=0
[shell]
background-color=0xff336699
panel-position=none
locking=false
animation=none
startup-animation=none
close-animation=none
`;

/** The colour of the background, 0xRRGGBB. */
export const WESTON_BACKGROUND = 0x336699;

/** weston's client here: it says that the compositor is up, then becomes the program that draws. */
const CLIENT = `#!/tmp/busybox sh
echo up >/tmp/weston.up
exec /usr/bin/weston-simple-shm
`;

/** A compositor that runs, with one client that draws. */
export interface Weston {
  /** What weston wrote. */
  log(): Promise<string>;
  /** Stops the client: the picture stays as it is. */
  freeze(): Promise<void>;
  /** A screenshot by weston's own tool, in the guest. */
  screenshot(): Promise<Picture>;
  stop(): Promise<void>;
}

const IN_TREE = `export XDG_RUNTIME_DIR=${RUN} WAYLAND_DISPLAY=wayland-1 LIBSEAT_BACKEND=seatd; cd /`;

/**
 * Mounts the tree and starts seatd and weston; returns once weston's first client runs.
 * @param tag - of the virtio-fs share with the tree
 * @throws GuestError ERR_GUEST_COMMAND with weston's log
 */
export async function startWeston(guest: Guest, tag: string): Promise<Weston> {
  const files = { 'weston.ini': INI, client: CLIENT };
  const write = Object.entries(files).map(
    ([name, text]) => `echo ${Buffer.from(text).toString('base64')} | base64 -d >/tmp/${name}`,
  );
  await guest.ok(`mkdir -p ${ROOT} && mount -t virtiofs -o ro ${tag} ${ROOT}
for d in dev proc sys tmp; do mount --bind /$d ${ROOT}/$d || exit 1; done
mount -t tmpfs run ${ROOT}/run && mkdir -m 700 ${ROOT}${RUN}
cp /bin/busybox /tmp/busybox; ${write.join('; ')}; chmod +x /tmp/client
mkfifo /tmp/seatd.up /tmp/weston.up`);
  await guest.ok(`${IN_TREE}
chroot ${ROOT} /usr/sbin/seatd -n 7 7<>/tmp/seatd.up >/tmp/seatd.log 2>&1 &
read line </tmp/seatd.up
setsid chroot ${ROOT} /usr/bin/weston --debug --socket=wayland-1 -c /tmp/weston.ini -- /tmp/client >/tmp/weston.log 2>&1 &
timeout 30 head -n 1 /tmp/weston.up | grep -q up || { cat /tmp/weston.log /tmp/seatd.log; exit 1; }`);
  const log = () => guest.ok('cat /tmp/weston.log');
  return {
    log,
    freeze: async () => {
      await guest.ok('kill -STOP $(pidof weston-simple-shm)');
    },
    screenshot: async () => {
      await guest.ok(`${IN_TREE}
rm -f /tmp/*.png; chroot ${ROOT} /tmp/busybox sh -c 'cd /tmp && exec /usr/bin/weston-screenshooter'`);
      return readPng(Buffer.from(await guest.ok('base64 /tmp/*.png'), 'base64'));
    },
    stop: async () => {
      await guest.ok(`kill -CONT $(pidof weston-simple-shm); kill $(pidof weston)
while pidof weston >/dev/null; do usleep 20000; done; kill $(pidof seatd)`);
    },
  };
}
