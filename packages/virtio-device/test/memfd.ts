/** A file without a name, for tests of who keeps it. */
import { check, Fd, MFD_CLOEXEC } from '@oriel/sys';
import { sys } from './machine.ts';

/** An empty one. */
export function memfd(): Fd {
  return new Fd(sys.fd, check(sys.mem.memfdCreate('kept', MFD_CLOEXEC), 'memfd_create'));
}
