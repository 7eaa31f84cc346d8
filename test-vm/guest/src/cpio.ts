/** cpio archives in the `newc` form that Linux reads as an initramfs (Documentation/driver-api/early-userspace). */

/** One member of an archive; parents come before their children. */
export type CpioEntry =
  | { readonly kind: 'dir'; readonly path: string; readonly mode?: number }
  | { readonly kind: 'file'; readonly path: string; readonly data: Uint8Array; readonly mode?: number }
  | { readonly kind: 'link'; readonly path: string; readonly target: string }
  | { readonly kind: 'char'; readonly path: string; readonly major: number; readonly minor: number };

const TYPE = { dir: 0o040000, file: 0o100000, link: 0o120000, char: 0o020000 } as const;
const DEFAULT_MODE = { dir: 0o755, file: 0o644, link: 0o777, char: 0o600 } as const;

/** Makes an archive, owned by root, times 0: the same entries give the same bytes. */
export function cpio(entries: readonly CpioEntry[]): Buffer {
  const parts: Uint8Array[] = [];
  let length = 0;
  const put = (bytes: Uint8Array) => {
    const padding = -bytes.length & 3;
    parts.push(bytes, Buffer.alloc(padding));
    length += bytes.length + padding;
  };
  const member = (path: string, mode: number, ino: number, data: Uint8Array, rdev: readonly [number, number]) => {
    const name = Buffer.from(`${path}\0`);
    const fields = [ino, mode, 0, 0, 1, 0, data.length, 0, 0, rdev[0], rdev[1], name.length, 0];
    const header = Buffer.from(`070701${fields.map((field) => field.toString(16).padStart(8, '0')).join('')}`);
    // Header and name are padded together, the data by itself.
    put(Buffer.concat([header, name]));
    put(data);
  };
  entries.forEach((entry, index) => {
    const path = entry.path.replace(/^\/+/, '');
    const permissions = ('mode' in entry ? entry.mode : undefined) ?? DEFAULT_MODE[entry.kind];
    const data = entry.kind === 'file' ? entry.data : Buffer.from(entry.kind === 'link' ? entry.target : '');
    const rdev = entry.kind === 'char' ? ([entry.major, entry.minor] as const) : ([0, 0] as const);
    member(path, TYPE[entry.kind] | permissions, index + 1, data, rdev);
  });
  member('TRAILER!!!', 0, 0, Buffer.alloc(0), [0, 0]);
  return Buffer.concat(parts, length);
}
