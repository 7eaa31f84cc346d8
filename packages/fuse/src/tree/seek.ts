/** LSEEK in a file without holes. */
import { EINVAL, ENXIO, SEEK_DATA, SEEK_HOLE } from '@oriel/sys';
import type { Operation } from '../operation.ts';

/** Answers with `op.offset`: data goes to the end. @param size - bytes of the file @returns 0, -EINVAL or -ENXIO */
export function seekInData(op: Operation, size: number, offset: number, whence: number): number {
  if (whence !== SEEK_DATA && whence !== SEEK_HOLE) return -EINVAL;
  if (offset >= size) return -ENXIO;
  op.offset = whence === SEEK_DATA ? offset : size;
  return 0;
}
