/** A directory of the host, served to a driver in the same process: a virtio-fs device without the rings. */
import { writeFileSync } from 'node:fs';
import { PassthroughFilesystem } from '@oriel/fs-passthrough';
import { TestClient } from '@oriel/fuse/testing';
import { O_RDWR, openSys } from '@oriel/sys';
import { tempDir } from '@oriel/sys/testing';

// The driver applies the umask of its own callers.
process.umask(0);
const sys = openSys();
using directory = tempDir();
writeFileSync(`${directory.path}/hello.txt`, 'hello from the host');

using fs = new PassthroughFilesystem({ sys, sharedDir: directory.path, cache: 'auto', xattr: true });
using driver = new TestClient({ sys, fs }); // a FuseSession whose messages lie in memory
driver.init();
const { request } = driver;

const { nodeid, attr } = driver.call(request.lookup(1, 'hello.txt')).readEntry();
const { size } = attr;
const { fh } = driver.call(request.open(nodeid, O_RDWR));
console.log(new TextDecoder().decode(driver.call(request.read(nodeid, fh, 0, size)).data));
driver.call(request.release(nodeid, fh));
driver.call(request.forget(nodeid, 1));
console.log(fs.stats.inodes);
