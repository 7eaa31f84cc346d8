/** The error of a system call whose caller gave up. */
import { errnoName } from './errno-name.ts';

/** A failed system call, shaped like Node's own errors; `errno` is positive here. */
export class SysError extends Error {
  override readonly name = 'SysError';
  /** The C name of the error number: 'EBADF'. */
  readonly code: string;
  /** The error number, positive. */
  readonly errno: number;
  /** The call that failed: 'mmap'. */
  readonly syscall: string;

  /** @param errno - positive, as in errno.h */
  constructor(errno: number, syscall: string, options?: ErrorOptions) {
    const code = errnoName(errno);
    super(`${syscall}: ${code}`, options);
    this.code = code;
    this.errno = errno;
    this.syscall = syscall;
  }
}

/**
 * Gives up on failure: passes a result through, and throws for a negative errno.
 * @param result - what a `Sys` call returned
 * @throws SysError when `result` is negative
 */
export function check(result: number, syscall: string): number {
  if (result < 0) {
    throw new SysError(-result, syscall);
  }
  return result;
}
