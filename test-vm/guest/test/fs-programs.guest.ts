/** Programs of Debian that work on files, on a share with a DAX window: fio, git, a compiler, Python's own tests, stress-ng. */
import { expect } from 'chai';
import { complaints, type DaxShare, guestSuite, type HostProcess, openDaxShare } from '../index.ts';
import { inFsTree, mountFsTree, serveFsTree } from '../src/fs-tree.ts';

const LONG = { timeoutMs: 280_000 };
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

  it("passes Python's own tests of mmap, fcntl and shutil", async function () {
    this.timeout(300_000);
    const output = await inTree(`mkdir ${SHARE}/t && export TMPDIR=${SHARE}/t && cd ${SHARE}/t
python3.13 -m test -q test_mmap test_fcntl test_shutil 2>&1; rm -r ${SHARE}/t`);
    expect(output).to.match(/Result: SUCCESS/);
    expect(Number(/Total tests: run=(\d+)/.exec(output)?.[1])).to.be.greaterThan(200);
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
