/** The soaks by name. */

/** Where a soak is found, and what its process is allowed. */
export interface SoakEntry {
  readonly name: string;
  readonly about: string;
  /** Its module. */
  readonly url: string;
  /** Longest file that its process may make, KiB: random sizes must not fill the disk. 0: no limit. */
  readonly fileLimitKiB: number;
}

function entry(name: string, about: string, fileLimitKiB = 0): SoakEntry {
  return { name, about, url: new URL(`./${name}/soak.ts`, import.meta.url).href, fileLimitKiB };
}

/** In the order in which they run. */
export const soaks: readonly SoakEntry[] = [
  entry('rings', 'a driver that writes anything into ring memory, against SplitQueue'),
  entry('socket', 'a front-end that sends anything, against serve() and a file system device'),
  entry('fuse', 'random and broken FUSE requests, against FuseSession and PassthroughFilesystem', 32768),
  entry('files', 'random file operations in a loopback VM against the oriel program, compared with a model'),
  entry('gpu', 'a guest that sends anything to a virtio-gpu device, compared with a book of its rules'),
  entry('two-devices', 'oriel run with a file system and a GPU, both windows of one machine under load'),
  entry('survival', 'a disk whose process is killed under load, split and packed rings, compared with a model'),
  entry('window', 'a region and a window with late answers, refusals, stops and losses'),
  entry('killed-fs', 'programs of a guest, while the back-end is killed and started again'),
  entry('many-files', 'a guest that looks up and forgets many files: no inode, descriptor or memory stays'),
  entry('model', 'a model of who owns what in a window, beside the ledger and a real front-end'),
];

/** A soak by name; undefined where there is none. */
export function soakNamed(name: string): SoakEntry | undefined {
  return soaks.find((soak) => soak.name === name);
}
