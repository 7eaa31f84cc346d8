/** Files that programs of the Wayland tree read, the same on the host and in the guest: so they draw the same there and here. */

/** For FONTCONFIG_FILE. */
export function fontSettings(fonts: string, cache: string): string {
  const folders = `<dir>${fonts}</dir><cachedir>${cache}</cachedir>`;
  return `<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd"><fontconfig>${folders}</fontconfig>\n`;
}

/** For XDG_DATA_HOME: GTK asks what kind of file its icons are, and the tree's own answers were never made. */
export const MIME_FILES = {
  magic: 'MIME-Magic\0\n[50:image/png]\n>0=\0\x04\x89PNG\n',
  globs: 'image/png:*.png\n',
} as const;

/** In the environment of every program. */
export const PROGRAM_ENVIRONMENT = {
  LC_ALL: 'C.UTF-8',
  GDK_BACKEND: 'wayland',
  GTK_A11Y: 'none',
  NO_AT_BRIDGE: '1',
} as const;

/** Name and version of each global in what wayland-info says. */
export function globalsIn(info: string): string[] {
  return [...info.matchAll(/interface: '(\w+)', +version: +(\d+)/g)].map(([, name, version]) => `${name} ${version}`);
}
