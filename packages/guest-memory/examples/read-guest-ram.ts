/** A back-end reads what the guest wrote; the front-end, here in the same process, shares a sealed memfd. */
import { GuestMemory } from '@oriel/guest-memory';
import { check, F_SEAL_SHRINK, Fd, MFD_ALLOW_SEALING, MFD_CLOEXEC, openSys } from '@oriel/sys';

const sys = openSys();
const size = 1024 * 1024;
using ram = new Fd(sys.fd, check(sys.mem.memfdCreate('ram', MFD_CLOEXEC | MFD_ALLOW_SEALING), 'memfd_create'));
check(sys.file.ftruncate(ram.fd, size), 'ftruncate');
check(sys.mem.addSeals(ram.fd, F_SEAL_SHRINK), 'fcntl');
check(sys.fd.pwrite(ram.fd, Buffer.from('hello, host'), 11, 0x2000), 'pwrite');

using memory = new GuestMemory(sys);
memory.add({ gpa: 0x4000_0000, size, userAddr: 0x7f00_0000_0000, mmapOffset: 0, fd: ram.dup() });

const region = memory.find(0x4000_2000);
if (region === null) throw new Error('not in guest memory');
const bytes = Buffer.alloc(11);
const result = region.read(0x4000_2000 - region.gpa, bytes, 0, bytes.length);
console.log(result, bytes.toString());
console.log('views:', region.direct, 'past the end:', memory.find(0x4010_0000));
