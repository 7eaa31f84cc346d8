/** A guest that wants out of its share, with and against a host that changes it meanwhile: nothing outside is read or written. */
import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { complaints, type DaxShare, guestSuite, HostProcess, openDaxShare } from '../index.ts';

const LONG = { timeoutMs: 120_000 };
const SECRET = 'what the guest must not see';

/** Makes `share/swapped` a directory and a link to the folder outside by turns, as fast as it can, until it is ended. */
const SWAP = `const fs = require('node:fs');
const [share, outside] = process.argv.slice(1);
const [name, away, link] = ['swapped', 'away', 'link'].map((one) => share + '/' + one);
fs.mkdirSync(name);
console.log('swapping');
for (;;) {
  fs.symlinkSync(outside, link);
  fs.renameSync(name, away);
  fs.renameSync(link, name);
  fs.unlinkSync(name);
  fs.renameSync(away, name);
}`;

describe('a guest that wants out of its share', () => {
  const suite = guestSuite('fs-escape');
  let share: DaxShare;
  let outside: string;
  /** A folder of the share on which another one is mounted; null where that is not allowed. */
  let mounted: string | null = null;

  before(async function () {
    this.timeout(180_000);
    const dir = suite.folder('escape');
    outside = join(dir, 'outside');
    fs.mkdirSync(outside);
    fs.writeFileSync(join(outside, 'secret'), SECRET);
    // Before the start: a sandbox has the mounts that there are then.
    const [at, bound] = [join(dir, 'share', 'mounted'), join(dir, 'bound')];
    fs.mkdirSync(at, { recursive: true });
    fs.mkdirSync(bound);
    fs.writeFileSync(join(bound, 'mine'), 'bound');
    try {
      execFileSync('mount', ['--bind', bound, at], { stdio: 'ignore' });
      mounted = at;
    } catch {
      process.stderr.write('SKIPPED, this host lets nobody bind: sees what is mounted in the share\n');
    }
    share = await openDaxShare({ environment: suite.environment, dir, args: ['--xattr'] });
    await share.guest.ok('mount -t virtiofs share /mnt');
  });
  after(() => share?.[Symbol.asyncDispose]());

  afterEach(() => {
    expect(fs.readdirSync(outside)).to.deep.equal(['secret']);
    expect(fs.readFileSync(join(outside, 'secret'), 'utf8')).to.equal(SECRET);
    expect(share.guest.alive).to.equal(true);
    expect(complaints(share.backend)).to.deep.equal([]);
  });

  it('follows links in its own tree, whoever made them', async () => {
    const secret = join(outside, 'secret');
    fs.symlinkSync(secret, join(share.hostDir, 'absolute'));
    fs.symlinkSync('../outside/secret', join(share.hostDir, 'up'));
    fs.symlinkSync('/proc/self/root', join(share.hostDir, 'magic'));
    fs.symlinkSync(`/proc/${share.backend.pid}/root${outside}`, join(share.hostDir, 'server'));
    const tries = [
      'cat absolute',
      'cat up',
      `cat magic${secret}`,
      'cat server/secret',
      `cat ../..${secret}`,
      'echo x >absolute',
    ];
    tries.push(
      'echo x >up',
      'echo x >server/made',
      'ln absolute hard; cat hard',
      `ln -s ${outside} own; cat own/secret`,
    );
    for (const one of tries) {
      const { code, output } = await share.guest.run(`cd /mnt && ${one}`);
      expect(code, one).to.not.equal(0);
      expect(output, one).to.not.include(SECRET);
    }
    expect(await share.guest.ok('cd /mnt; readlink hard')).to.equal(secret);
    expect(await share.guest.ok('cat /mnt/magic/proc/cmdline')).to.include('ttyS0');
  });

  it('is not led out by a folder that becomes a link again and again', async function () {
    this.timeout(180_000);
    await using swapper = await HostProcess.startUntil(/swapping/, [
      process.execPath,
      ...['-e', SWAP, share.hostDir, outside],
    ]);
    const { output } = await share.guest.run(
      `cd /mnt; n=0; while [ $n -lt 100 ]; do
  n=$((n + 1)); cat swapped/secret; echo own >swapped/own$n; mkdir swapped/d$n; ln swapped/own$n swapped/hard$n
  mv swapped/own$n swapped/moved$n; chmod 600 swapped/secret; echo x >>swapped/secret; rm -f swapped/hard$n
done 2>/dev/null; true`,
      LONG,
    );
    expect(swapper.alive).to.equal(true);
    await swapper.stop();
    expect(output).to.not.include(SECRET);
    const made = ['swapped', 'away'].map((name) => join(share.hostDir, name)).filter((path) => fs.existsSync(path));
    const names = made.filter((path) => fs.lstatSync(path).isDirectory()).flatMap((path) => fs.readdirSync(path));
    expect(
      names.filter((name) => name.startsWith('d')),
      'it did work in there',
    ).to.not.have.length(0);
  });

  it('stays in a folder that the host moves, and finds no way up from it', async () => {
    const inside = join(share.hostDir, 'parent/child');
    fs.mkdirSync(inside, { recursive: true });
    fs.writeFileSync(join(share.hostDir, 'file'), 'in the share');
    const moved = join(outside, '..', 'moved');
    const waiting = share.guest.run(
      'cd /mnt/parent/child && echo ready >at; while [ ! -e go ]; do usleep 20000; done; cat ../../outside/secret ../outside/secret; echo done >written',
    );
    while (!fs.existsSync(join(inside, 'at'))) await new Promise((resolve) => setImmediate(resolve));
    fs.renameSync(inside, moved);
    fs.writeFileSync(join(moved, 'go'), '');
    expect((await waiting).output).to.not.include(SECRET);
    expect(fs.readdirSync(moved).sort()).to.deep.equal(['at', 'go', 'written']);
    fs.rmSync(moved, { recursive: true });
  });

  it('sees what is mounted in the share, and nothing around it', async function () {
    if (mounted === null) this.skip();
    try {
      expect(await share.guest.ok('cat /mnt/mounted/mine; cd /mnt/mounted && ls -a ..')).to.include('mounted');
      const { output } = await share.guest.run('cd /mnt/mounted; cat ../outside/secret; ln mine ../across; ls ..');
      expect(output, output).to.match(/ross-device|nvalid cross/);
      expect(output).to.not.include('outside\n');
    } finally {
      await share.guest.run('cd /; umount /mnt/mounted');
      execFileSync('umount', ['-l', mounted]);
    }
  });

  it('keeps names byte by byte: not UTF-8, of 255 bytes, in paths of 4095', async function () {
    this.timeout(180_000);
    const long = 'n'.repeat(255);
    await share.guest.ok(`mkdir /mnt/names; cd /mnt/names && echo 1 >"$(printf 'a\\377\\376b')" && echo 2 >${long}`);
    const names = fs
      .readdirSync(join(share.hostDir, 'names'), { encoding: 'buffer' })
      .map((name) => name.toString('latin1'));
    expect(names.sort()).to.deep.equal(['a\xff\xfeb', long]);
    expect((await share.guest.run(`cd /mnt/names; echo >${long}x`)).output).to.match(/name too long/i);
    // As deep as PATH_MAX lets a path be, and one byte more.
    const script = (more: string): string => `cd /mnt/names; p=/mnt/names; i=0
while [ $i -lt 15 ]; do d=$(printf 'd%0254d' $i); mkdir -p $d; cd $d || exit 1; p=$p/$d; i=$((i + 1)); done
rest=$((4095 - \${#p} - 1)); f=$(printf "f%0$((rest - 1))d" 0)${more}; echo deep >$p/$f; cat $p/$f`;
    expect(await share.guest.ok(script(''))).to.equal('deep');
    expect((await share.guest.run(script('x'))).output).to.match(/name too long/i);
    expect(await share.guest.ok('rm -r /mnt/names; ls /mnt | grep -c names || true')).to.equal('0');
  });
});
