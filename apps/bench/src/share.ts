/** The folder that both back-ends share while they are measured, and what the driver may expect in it. */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Shares lie here, so that no disk is in the figures. */
export const TMPFS = '/dev/shm';
/** Folder below the share's root that has everything. */
export const BENCH_DIR = 'oriel-bench';
/** Small files, for LOOKUP, GETATTR and OPEN; each is one byte longer than the one before. */
export const FILES_DIR = 'files';
export const FILE_COUNT = 1000;
/** Empty files, for READDIRPLUS. */
export const LIST_DIR = 'list';
export const LIST_COUNT = 10_000;
/** Where files come and go. */
export const NEW_DIR = 'new';
/** Files that are read and written. */
export const READ_FILE = 'read';
export const WRITE_FILE = 'write';
export const DATA_BYTES = 64 << 20;

/** First letters of a small file's name: a multiple of four, so that the digits are one word. */
const FILE_PREFIX = 'file';

/** Name of a small file: "file0000" to "file0999". */
export function fileName(index: number): string {
  return FILE_PREFIX + String(index).padStart(4, '0');
}

/** Bytes of a small file. */
export function fileSize(index: number): number {
  return index + 1;
}

/** The word that stands at byte `offset` (a multiple of 4) of the file that is read; never 0. */
export function wordAt(offset: number): number {
  return (Math.imul(offset / 4 + 1, 2654435761) | 1) >>> 0;
}

/** Writes the file that is read into a folder. @throws Error of node:fs */
export function makeReadFile(dir: string): void {
  const words = new Uint32Array(DATA_BYTES / 4);
  for (let i = 0; i < words.length; i++) words[i] = wordAt(i * 4);
  writeFileSync(join(dir, READ_FILE), words);
}

/** Writes the tree below `shareDir`, where it is not there yet. @throws Error of node:fs */
export function makeShare(shareDir: string): void {
  const root = join(shareDir, BENCH_DIR);
  if (existsSync(join(root, WRITE_FILE))) return;
  for (const dir of [FILES_DIR, LIST_DIR, NEW_DIR]) mkdirSync(join(root, dir), { recursive: true });
  for (let i = 0; i < FILE_COUNT; i++) writeFileSync(join(root, FILES_DIR, fileName(i)), new Uint8Array(fileSize(i)));
  for (let i = 0; i < LIST_COUNT; i++) writeFileSync(join(root, LIST_DIR, `entry-${String(i).padStart(5, '0')}`), '');
  makeReadFile(root);
  writeFileSync(join(root, WRITE_FILE), new Uint8Array(DATA_BYTES));
}
