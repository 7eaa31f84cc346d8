/** The memory of blobs as a process of the host sees it: through the back-end's descriptors, which `oriel ctl blobs` names. */
import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import { orielCtl } from './oriel.ts';
import { fillPattern, findWrong } from './pattern.ts';

/** A blob that lives now. */
export interface LiveBlob {
  /** The guest's name of it. */
  readonly id: number;
  /** Bytes, whole pages. */
  readonly size: number;
  /** Opens to its memory. */
  readonly path: string;
}

/** A line of `oriel ctl blobs`. */
interface CtlBlob {
  readonly blobId: string;
  readonly size: number;
  readonly path: string;
  readonly offset?: number;
}

/** One buffer for all blobs: they are read one after the other. */
let words = new Uint32Array(0);

function room(size: number): Uint32Array {
  if (words.byteLength < size) words = new Uint32Array(size / 4);
  return words.subarray(0, size / 4);
}

/** The blobs of the back-end, in the order of their making. */
export async function liveBlobs(controlSocket: string): Promise<LiveBlob[]> {
  const lines = (await orielCtl(controlSocket, 'blobs')).split('\n').filter((line) => line !== '');
  return lines.map((line) => {
    const { blobId, size, path, offset = 0 } = JSON.parse(line) as CtlBlob;
    if (offset !== 0) throw new Error(`blob ${blobId} begins at ${offset} of its file`);
    return { id: Number(blobId), size, path };
  });
}

/** Reads a blob. @returns the byte offset of the first wrong word, or undefined when the pattern is there */
export function checkBlob({ id, size, path }: LiveBlob, salt: number): number | undefined {
  const fd = openSync(path, 'r');
  try {
    const read = readSync(fd, room(size), 0, size, 0);
    return read === size ? findWrong(room(size), id, salt) : read;
  } finally {
    closeSync(fd);
  }
}

/** Writes a blob's pattern. */
export function fillBlob({ id, size, path }: LiveBlob, salt: number): void {
  const fd = openSync(path, 'r+');
  try {
    fillPattern(room(size), id, salt);
    if (writeSync(fd, room(size), 0, size, 0) !== size) throw new Error(`${path} takes fewer than ${size} bytes`);
  } finally {
    closeSync(fd);
  }
}

/** The blobs among these whose memory is not as it should be, in words. */
export function wrongBlobs(blobs: readonly LiveBlob[], salt: number): string[] {
  return blobs.flatMap((blob) => {
    const at = checkBlob(blob, salt);
    return at === undefined ? [] : [`blob ${blob.id} of ${blob.size} bytes is wrong at ${at}`];
  });
}
