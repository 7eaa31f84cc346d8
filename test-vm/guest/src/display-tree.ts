/**
 * A second Debian tree: programs that draw through DRM, for a guest that mounts it and works in it by chroot. It is made
 * when a suite first asks for it.
 */
import { sideTree } from './side-tree.ts';

/** Bumped when the steps change although the packages do not. */
const STEPS = 1;

/** weston's own dependencies bring GL, video codecs and remote desktops, 160 MB; these 14 MB are what it loads with pixman. */
const PACKAGES = [
  ...['base-files', 'libc6', 'libdrm-tests', 'libweston-14-0', 'seatd', 'weston', 'xkb-data'],
  ...['libatomic1', 'libaudit1', 'libblkid1', 'libbrotli1', 'libbz2-1.0', 'libcairo2', 'libcap-ng0', 'libcap2'],
  ...['libdatrie1', 'libdisplay-info2', 'libdrm2', 'libevdev2', 'libexpat1', 'libffi8', 'libfontconfig1'],
  ...['libfreetype6', 'libfribidi0', 'libgbm1', 'libglib2.0-0t64', 'libgraphite2-3', 'libgudev-1.0-0', 'libharfbuzz0b'],
  ...['libinput10', 'libjpeg62-turbo', 'libmount1', 'libmtdev1t64', 'libpam0g', 'libpango-1.0-0'],
  ...['libpangocairo-1.0-0', 'libpangoft2-1.0-0', 'libpcre2-8-0', 'libpixman-1-0', 'libpng16-16t64', 'libseat1'],
  ...['libselinux1', 'libsharpyuv0', 'libsystemd0', 'libthai0', 'libudev1', 'libva-drm2', 'libva2', 'libwacom9'],
  ...['libwayland-client0', 'libwayland-cursor0', 'libwayland-server0', 'libwebp7', 'libx11-6', 'libxau6'],
  ...['libxcb-render0', 'libxcb-shm0', 'libxcb1', 'libxdmcp6', 'libxext6', 'libxkbcommon0', 'libxrender1', 'zlib1g'],
];

/**
 * Makes the tree, or finds it in the cache.
 * @returns its root folder; do not write there
 * @throws GuestError ERR_GUEST_UNSUPPORTED, ERR_GUEST_COMMAND
 */
export async function displayTree(): Promise<string> {
  return (await sideTree({ name: 'display', steps: STEPS, packages: PACKAGES })).root;
}
