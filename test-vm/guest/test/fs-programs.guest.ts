/** Programs of Debian that work on files, on a share with a DAX window: fio, git, a compiler, Python's own tests, stress-ng. */
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { complaints, type DaxShare, guestSuite, type HostProcess, openDaxShare } from '../index.ts';
import { inFsTree, mountFsTree, serveFsTree } from '../src/fs-tree.ts';

const LONG = { timeoutMs: 580_000 };
/** Where the share is in the tree. */
const SHARE = '/home';

/** A C program of two files and a make file, and some text beside it. */
const PROJECT = `mkdir -p /root/src && cd /root/src
for i in 1 2 3 4 5 6 7 8; do mkdir d$i; seq 1 $((i * 300)) >d$i/lines; done
cat >main.c <<'X'
#include <stdio.h>
int square(int);
int main(void) { printf("%d\\n", square(12)); return 0; }
X
echo 'int square(int x) { return x * x; }' >square.c
printf 'main: main.o square.o\\n\\ttcc -o $@ $^\\n%%.o: %%.c\\n\\ttcc -c -o $@ $<\\n' >Makefile
git config --global user.name n && git config --global user.email e@x
git init -q && git add -A && git commit -qm one && git clone -q --bare /root/src ${SHARE}/repo.git`;

/**
 * Of stress-ng's class filesystem: binderfs and bind-mount mount file systems of their own, procfs reads none of ours, filerace is
 * made to hang at times (it races on one name with every call there is), and of fanotify the kernel itself says that its permission
 * checks may lead to a deadlock.
 */
const EXCLUDED = ['binderfs', 'bind-mount', 'procfs', 'filerace', 'fanotify'];

/** Of CPython's test suite, those that work on files; test_pathlib and test_tarfile each take longer than the others together. */
const PYTHON_TESTS = [
  ['test_fcntl', 'test_glob', 'test_mmap', 'test_posix', 'test_shutil', 'test_tempfile'],
  ['test_os', 'test_zipfile'],
];

/**
 * Of them, those that ask for more than an emulated CPU has: a file's time is the host's, and the guest's clock, set to a whole
 * second, is up to one beside it, where 0.05 s are allowed; and timers that are right to a millisecond.
 */
const CLOCKS = ['test_utime_current', 'test_utime_current_old', 'test_timerfd_*'];

/** O_CREAT with O_DIRECTORY is EINVAL in Linux whatever the file system, since 6.4; nfstest wants EEXIST of a name that is taken. */
const REFUSED_BY_LINUX = ['existent file', 'symbolic link'].map(
  (what) => `open - opening ${what} should return an error when O_EXCL|O_CREAT is used (256 passed, 256 failed)`,
);

describe('programs that work on files', () => {
  const suite = guestSuite('fs-programs');
  let share: DaxShare;
  let tree: HostProcess;

  before(async function () {
    this.timeout(600_000);
    const dir = suite.folder('programs');
    const served = await serveFsTree(dir);
    tree = served.backend;
    // Locks stay in the guest, where a signal ends the wait for one: stress-ng counts on that (fs-locks has those of the host).
    share = await openDaxShare({
      environment: suite.environment,
      dir,
      args: ['--xattr'],
      boot: { qemuArgs: served.qemuArgs },
    });
    await share.guest.ok('mount -t virtiofs share /mnt');
    await mountFsTree(share.guest);
  });
  after(async () => {
    await share?.[Symbol.asyncDispose]();
    await tree?.stop();
  });

  const inTree = (script: string): Promise<string> => share.guest.ok(inFsTree(`set -e\n${script}`), LONG);

  it('fio reads back what it wrote, by calls and by mappings', async function () {
    this.timeout(300_000);
    const common = `--directory=${SHARE} --verify=crc32c --verify_fatal=1 --do_verify=1`;
    await inTree(`fio --output=/tmp/fio --name=calls ${common} --size=8m --bs=4k --rw=randrw --ioengine=psync
fio --output=/tmp/fio --name=maps ${common} --size=8m --bs=64k --rw=randwrite --ioengine=mmap
rm ${SHARE}/calls* ${SHARE}/maps*`);
  });

  it("a stranger's write in place takes the set-id bits away, also where it is no request, and so does his O_TRUNC", async function () {
    this.timeout(60_000);
    const file = join(share.hostDir, 'owned');
    writeFileSync(file, Buffer.alloc(4 * 1024 * 1024));
    chmodSync(file, 0o6777);
    expect(await share.guest.ok('statx /mnt/owned')).to.match(/dax=1/);
    const output = await inTree(`cd ${SHARE} && chmod 755 .
python3.13 -c "
import os
os.setgid(1000); os.setuid(1000)
fd = os.open('owned', os.O_RDWR)
os.read(fd, 4); os.pwrite(fd, b'else', 0)
print(oct(os.fstat(fd).st_mode))"
stat -c %a owned; chmod 6777 owned
python3.13 -c "
import os
os.setgid(1000); os.setuid(1000)
os.open('owned', os.O_WRONLY | os.O_TRUNC)"
stat -c '%a %s' owned; rm owned`);
    expect(output.split('\n')).to.deep.equal(['0o100777', '777', '777 0']);
  });

  it('git clones from a bare repository, and a project is built in the clone', async function () {
    this.timeout(300_000);
    expect(
      await inTree(`${PROJECT}
git clone -q ${SHARE}/repo.git ${SHARE}/clone && cd ${SHARE}/clone 
make -s 2>/tmp/make || { cat /tmp/make; exit 1; }
./main
git fsck --full --no-progress && git status --short -uno && git gc -q && git fsck --full --no-progress && git log --oneline | wc -l`),
    ).to.equal('144\n1');
  });

  for (const names of PYTHON_TESTS) {
    it(`passes Python's own ${names.join(', ')}`, async function () {
      this.timeout(600_000);
      const ignored = CLOCKS.map((name) => `-i '${name}'`).join(' ');
      const output = await inTree(`mkdir ${SHARE}/t && export TMPDIR=${SHARE}/t && cd ${SHARE}/t
python3.13 -m test -q ${ignored} ${names.join(' ')} 2>&1 || true; rm -r ${SHARE}/t`);
      expect(output, output).to.match(/Result: SUCCESS/);
      expect(Number(/Total tests: run=([\d,]+)/.exec(output)?.[1]?.replace(',', ''))).to.be.greaterThan(500);
    });
  }

  it("passes nfstest's tests of POSIX calls, in place", async function () {
    this.timeout(600_000);
    // It asks the kernel which address of its own a packet to the world would have, and sends none. On a terminal it writes in colours.
    await share.guest.ok('ip address add 192.0.2.1/24 dev lo && ip route add default dev lo');
    const output = await inTree(`mkdir ${SHARE}/n && export PYTHONPATH=/usr/lib/python3/dist-packages
python3.13 -W ignore /usr/bin/nfstest_posix --basename local --server localhost --interface lo --client-ipaddr 127.0.0.1 \\
  --mtpoint ${SHARE}/n --datadir '' --tmpdir /tmp 2>&1 | cat; rm -r ${SHARE}/n`);
    expect([...output.matchAll(/FAIL: (.*)/g)].map(([, what]) => what)).to.deep.equal(REFUSED_BY_LINUX);
    expect([...output.matchAll(/PASS: /g)].length).to.be.greaterThan(400);
  });

  it("stands stress-ng's filesystem class, all at a time", async function () {
    this.timeout(300_000);
    const words = `--class filesystem --all 1 --timeout 4 --verify --exclude ${EXCLUDED.join(',')}`;
    const output = await inTree(`mkdir ${SHARE}/s && stress-ng --temp-path ${SHARE}/s ${words} 2>&1; ls -A ${SHARE}/s`);
    expect(output, output).to.match(/passed: \d\d/);
    expect(output).to.match(/failed: 0/);
    expect(complaints(share.backend)).to.deep.equal([]);
  });
});
