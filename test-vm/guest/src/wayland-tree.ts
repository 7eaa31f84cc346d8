/**
 * A Debian tree with Wayland compositors, their tools and small clients: the host runs its programs by the tree's own dynamic
 * loader, a guest mounts it and works in it by chroot. It is made when a suite first asks for it.
 */
import { sideTree } from './side-tree.ts';

/** Bumped when the steps change although the packages do not. */
const STEPS = 1;

/** The programs that the suites run; gtk3-demo stands for all of GTK. */
const PROGRAMS = ['weston', 'sway', 'grim', 'wl-clipboard', 'wayland-utils', 'foot', 'foot-terminfo', 'gtk-3-examples'];

/** What they load; their own dependencies would bring GL drivers with LLVM, video codecs and remote desktops too. */
const LIBRARIES = [
  ...['base-files', 'coreutils', 'dash', 'fontconfig-config', 'fonts-dejavu-mono', 'libacl1', 'libattr1'],
  ...['libc-bin', 'libc6', 'libx11-data', 'xkb-data'],
  ...['libatk-bridge2.0-0t64', 'libatk1.0-0t64', 'libatomic1', 'libatspi2.0-0t64', 'libaudit1', 'libblkid1'],
  ...['libbrotli1', 'libbz2-1.0', 'libcairo-gobject2', 'libcairo2', 'libcap-ng0', 'libcap2', 'libcloudproviders0'],
  ...['libdatrie1', 'libdbus-1-3', 'libdisplay-info2', 'libdrm2', 'libegl1', 'libepoxy0', 'libevdev2', 'libexpat1'],
  ...['libfcft4t64', 'libffi8', 'libfontconfig1', 'libfreetype6', 'libfribidi0', 'libgbm1', 'libgdk-pixbuf-2.0-0'],
  ...['libgles2', 'libgmp10', 'libglib2.0-0t64', 'libglvnd0', 'libgraphite2-3', 'libgtk-3-0t64', 'libgudev-1.0-0'],
  ...['libharfbuzz0b', 'libinput10', 'libjpeg62-turbo', 'libjson-c5', 'liblcms2-2', 'libliftoff0', 'libmount1'],
  ...['libmtdev1t64', 'libpam0g', 'libpango-1.0-0', 'libpangocairo-1.0-0', 'libpangoft2-1.0-0', 'libpcre2-8-0'],
  ...['libpixman-1-0', 'libpng16-16t64', 'libquadmath0', 'libseat1', 'libselinux1', 'libsharpyuv0', 'libssl3t64'],
  ...['libstdc++6'],
  ...['libgcc-s1', 'libsystemd0', 'libthai0', 'libudev1', 'libutf8proc3', 'libva-drm2', 'libva2', 'libvulkan1'],
  ...['libwacom9', 'libwayland-client0', 'libwayland-cursor0', 'libwayland-egl1', 'libwayland-server0', 'libwebp7'],
  ...['libweston-14-0', 'libwlroots-0.18', 'libx11-6', 'libx11-xcb1', 'libxau6', 'libxcb-composite0', 'libxcb-dri3-0'],
  ...['libxcb-errors0', 'libxcb-ewmh2', 'libxcb-icccm4', 'libxcb-present0', 'libxcb-render-util0', 'libxcb-render0'],
  ...['libxcb-res0', 'libxcb-shm0', 'libxcb-xfixes0', 'libxcb-xinput0', 'libxcb1', 'libxcomposite1', 'libxcursor1'],
  ...['libxdamage1', 'libxdmcp6', 'libxext6', 'libxfixes3', 'libxi6', 'libxinerama1', 'libxkbcommon0', 'libxrandr2'],
  ...['libxrender1', 'zlib1g'],
];

/**
 * Makes the tree, or finds it in the cache.
 * @returns its root folder; do not write there
 * @throws GuestError ERR_GUEST_UNSUPPORTED, ERR_GUEST_COMMAND
 */
export async function waylandTree(): Promise<string> {
  return (await sideTree({ name: 'wayland', steps: STEPS, packages: [...PROGRAMS, ...LIBRARIES] })).root;
}
