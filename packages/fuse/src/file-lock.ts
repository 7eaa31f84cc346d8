/** A lock as GETLK, SETLK and SETLKW tell of it (`fuse_lk_in`). Ends may be any number of 63 bits, so all stay two u32. */

/** One lock; reused by the next request of its operation. */
export class FileLock {
  /** The driver's name of who locks. */
  ownerLo = 0;
  ownerHi = 0;
  /** First and last byte; 2^63 - 1 as the last: to the end of the file. */
  startLo = 0;
  startHi = 0;
  endLo = 0;
  endHi = 0;
  /** F_RDLCK, F_WRLCK or F_UNLCK. */
  type = 0;
  /** In the guest. */
  pid = 0;
  /** A lock of the whole file by flock(2). */
  flock = false;
}
