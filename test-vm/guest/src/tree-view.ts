/** A folder as the host sees it and as the guest sees it, and what differs. */
import { createHash } from 'node:crypto';
import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import type { Guest } from '../boot.ts';

/** One path below the folder. */
export interface TreeEntry {
  readonly type: 'f' | 'd' | 'l' | 'o';
  /** Permission bits. */
  readonly mode: number;
  /** Bytes; 0 for folders, whose size is the file system's own affair. */
  readonly size: number;
  /** `seconds.nanoseconds`. */
  readonly mtime: string;
  readonly links: number;
  /** sha256 of a file, hexadecimal. */
  readonly sha256?: string;
  /** Target of a symbolic link. */
  readonly target?: string;
}

/** Path (relative) to entry. */
export type TreeView = Map<string, TreeEntry>;

/** Everything below a folder of the host; links are not followed. */
export function describeTree(dir: string, view: TreeView = new Map(), below = ''): TreeView {
  for (const name of readdirSync(join(dir, below))) {
    const path = join(below, name);
    const full = join(dir, path);
    const st = lstatSync(full, { bigint: true });
    const type = st.isFile() ? 'f' : st.isDirectory() ? 'd' : st.isSymbolicLink() ? 'l' : 'o';
    const seconds = st.mtimeNs / 1_000_000_000n;
    view.set(path, {
      type,
      mode: Number(st.mode & 0o7777n),
      size: type === 'd' ? 0 : Number(st.size),
      mtime: `${seconds}.${(st.mtimeNs % 1_000_000_000n).toString().padStart(9, '0')}`,
      links: type === 'd' ? 0 : Number(st.nlink),
      ...(type === 'f' ? { sha256: createHash('sha256').update(readFileSync(full)).digest('hex') } : {}),
      ...(type === 'l' ? { target: readlinkSync(full) } : {}),
    });
    if (type === 'd') describeTree(dir, view, path);
  }
  return view;
}

/**
 * Everything below a folder of the guest, by its `treelist` and `sha256sum`. Names must hold no tab or newline.
 * @throws GuestError as {@link Guest.ok}
 */
export async function describeGuestTree(guest: Guest, dir: string, timeoutMs = 120_000): Promise<TreeView> {
  const sums = new Map<string, string>();
  const summed = await guest.ok(`cd ${dir} && find . -type f -print0 | xargs -0 -r sha256sum`, { timeoutMs });
  for (const line of summed.split('\n')) {
    const match = /^([0-9a-f]{64}) {2}\.\/(.*)$/.exec(line);
    if (match) sums.set(match[2]!, match[1]!);
  }
  const view: TreeView = new Map();
  for (const line of (await guest.ok(`treelist ${dir}`, { timeoutMs })).split('\n')) {
    const [path, type, mode, size, mtime, links, target] = line.split('\t');
    if (path === undefined || mtime === undefined) continue;
    const sha256 = sums.get(path);
    view.set(path, {
      type: type as TreeEntry['type'],
      mode: Number.parseInt(mode!, 8),
      size: type === 'd' ? 0 : Number(size),
      mtime,
      links: type === 'd' ? 0 : Number(links),
      ...(type === 'f' ? { sha256: sha256 ?? 'unread' } : {}),
      ...(type === 'l' ? { target: target ?? '' } : {}),
    });
  }
  return view;
}

/** The differences of two views, one line each; empty when they are the same. */
export function compareTrees(a: TreeView, b: TreeView, ignore: readonly (keyof TreeEntry)[] = []): string[] {
  const differences: string[] = [];
  for (const path of [...new Set([...a.keys(), ...b.keys()])].sort()) {
    const [left, right] = [a.get(path), b.get(path)];
    if (left === undefined || right === undefined) {
      differences.push(`${path}: only in the ${left === undefined ? 'second' : 'first'}`);
      continue;
    }
    for (const key of ['type', 'mode', 'size', 'mtime', 'links', 'sha256', 'target'] as const) {
      if (!ignore.includes(key) && left[key] !== right[key])
        differences.push(`${path}: ${key} ${left[key]} / ${right[key]}`);
    }
  }
  return differences;
}
