/** A back-end maps a memfd into a region; the front-end's window, here in the same process, shows its bytes. */

import { BackendRegion, renderWindow, Window } from '@oriel/shm-region';
import { testLimits, WindowTransport } from '@oriel/shm-region/testing';
import { check, Fd, MFD_CLOEXEC, openSys } from '@oriel/sys';

const MiB = 1024 * 1024;
const sys = openSys();
using window = new Window(sys, { shmid: 0, size: 16 * MiB });
const transport = new WindowTransport(sys, window);
const region = new BackendRegion({ shmid: 0, size: 16 * MiB, limits: testLimits() });
region.setTransport(transport);

using file = new Fd(sys.fd, check(sys.mem.memfdCreate('greeting', MFD_CLOEXEC), 'memfd_create'));
check(sys.file.ftruncate(file.fd, 2 * MiB), 'ftruncate');
check(sys.fd.pwrite(file.fd, Buffer.from('hello, guest'), 12, 0), 'pwrite');

const place = { fd: file.fd, fdOffset: 0, shmOffset: 4 * MiB, len: 2 * MiB, writable: true };
region.map({ ...place, owner: file, label: 'greeting' }, (error) => console.log('mapped:', error));
transport.answerAll();

const bytes = Buffer.alloc(12);
window.read(4 * MiB, bytes);
console.log(bytes.toString());
console.log(renderWindow(region.entries(), region.size).join('\n'));
region.unmapOwner(file, (error) => console.log('unmapped:', error));
transport.answerAll();
