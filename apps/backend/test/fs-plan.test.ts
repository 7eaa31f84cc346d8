import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TempDir, tempDir } from '@oriel/sys/testing';
import { expect } from 'chai';
import { CliError } from '../src/cli/cli-error.ts';
import type { DevicePlan } from '../src/commands/command.ts';
import { fsCommand } from '../src/commands/fs.ts';
import type { FsDeviceSettings, ShareSettings } from '../src/devices/fs.ts';
import { readArguments } from '../src/program.ts';

const MIB = 1024 * 1024;

describe('oriel fs, its plan', () => {
  let dir: TempDir;
  let share: string;

  beforeEach(() => {
    dir = tempDir();
    share = join(dir.path, 'share');
    mkdirSync(share);
  });
  afterEach(() => dir[Symbol.dispose]());

  function plan(...more: string[]): DevicePlan {
    return fsCommand.plan(['--socket-path=/tmp/s', `--shared-dir=${share}`, '--tag=home', ...more], { name: 'fs' });
  }

  function complaint(args: readonly string[]): string {
    try {
      fsCommand.plan(args, { name: 'fs' });
    } catch (error) {
      expect(error).to.be.instanceOf(CliError);
      expect((error as CliError).message).not.to.include('\n');
      return (error as CliError).message;
    }
    throw new Error('nothing was wrong');
  }

  it('has defaults that a front-end bears', () => {
    const { worker, warnings } = plan();
    const options = worker.options as FsDeviceSettings;
    expect(warnings).to.deep.equal([]);
    expect(worker).to.include({
      frontend: 'qemu',
      socketPath: '/tmp/s',
      socketGroup: -1,
      spinNs: 50_000,
      fd: undefined,
    });
    expect(options).to.include({
      tag: 'home',
      sharedDir: share,
      windowSize: 256 * MIB,
      tail: 'refuse',
      queueSize: 1024,
      threadPoolSize: 256,
    });
    expect(options.share).to.deep.equal({
      readonly: false,
      cache: 'auto',
      xattr: false,
      posixAcl: false,
      securityLabel: false,
      writeback: false,
      allowDirectIo: false,
      allowMmap: false,
      preserveNoatime: false,
      killprivV2: false,
      announceSubmounts: true,
      posixLocks: false,
      flockLocks: false,
      inodeFileHandles: 'prefer',
      translateUid: [],
      translateGid: [],
      migration: { mode: 'find-paths', onError: 'abort', verifyHandles: false },
    });
    expect(options.descriptors).to.be.greaterThan(64);
  });

  it('survives the way into a worker', () => {
    expect(structuredClone(plan().worker)).to.deep.equal(plan().worker);
  });

  it('takes no window', () => {
    expect((plan('--window=0').worker.options as FsDeviceSettings).windowSize).to.equal(0);
  });

  it('gives a read-only share no window, and says so', () => {
    const { worker, warnings } = plan('--readonly');
    expect((worker.options as FsDeviceSettings).windowSize).to.equal(0);
    expect(warnings.join()).to.include('--readonly');
    expect(plan('--readonly', '--window=0').warnings).to.deep.equal([]);
  });

  it('warns of a window that makes QEMU slow, where the mappings suffice', () => {
    expect(plan('--window=512M', '--dax-tail=copy').warnings.join()).to.include('256M');
  });

  it('takes any multiple of a range where the front-end does', () => {
    const options = plan('--frontend=crosvm', '--window=6M').worker.options as FsDeviceSettings;
    expect(options.windowSize).to.equal(6 * MIB);
  });

  it('gives a share what virtiofsd would give it', () => {
    const cases: readonly [args: readonly string[], share: Partial<ShareSettings>][] = [
      [['--readonly', '--window=0'], { readonly: true, killprivV2: true }],
      [['--cache=metadata'], { cache: 'metadata' }],
      [['--xattr'], { xattr: true }],
      [['--xattrmap=:map::user.virtiofs.:'], { xattrMap: ':map::user.virtiofs.:' }],
      [['--posix-acl'], { posixAcl: true }],
      [['--security-label'], { securityLabel: true }],
      [['--writeback'], { writeback: true }],
      [['--allow-direct-io'], { allowDirectIo: true }],
      [['--allow-mmap'], { allowMmap: true }],
      [['--preserve-noatime'], { preserveNoatime: true }],
      [['--no-readdirplus'], { readdirplus: false }],
      [['--killpriv-v2'], { killprivV2: true }],
      [['--no-killpriv-v2'], { killprivV2: false }],
      [['--window=0'], { killprivV2: true }],
      [['--window=0', '--no-killpriv-v2'], { killprivV2: false }],
      [['--announce-submounts'], { announceSubmounts: true }],
      [['--no-announce-submounts'], { announceSubmounts: false }],
      [['--posix-lock'], { posixLocks: true }],
      [['--flock'], { flockLocks: true }],
      [['--inode-file-handles=never'], { inodeFileHandles: 'never' }],
      [
        ['--translate-uid=map:0:1000:5', '--translate-uid', 'forbid-guest:7:1', '--translate-gid=squash-host:0:5:9'],
        {
          translateUid: [
            { type: 'map', from: 0, to: 1000, count: 5 },
            { type: 'forbid-guest', from: 7, to: 0, count: 1 },
          ],
          translateGid: [{ type: 'squash-host', from: 0, to: 5, count: 9 }],
        },
      ],
    ];
    const { share: usual } = plan().worker.options as FsDeviceSettings;
    for (const [args, share] of cases) {
      expect((plan(...args).worker.options as FsDeviceSettings).share, args.join(' ')).to.deep.equal({
        ...usual,
        ...share,
      });
    }
    expect((plan('--thread-pool-size=0').worker.options as FsDeviceSettings).threadPoolSize).to.equal(0);
  });

  it('knows the options of the virtiofsd that QEMU had', () => {
    const legacy = `source=${share},cache=none,xattr,no_posix_lock,flock,writeback,announce_submounts,log_level=err`;
    const args = ['--socket-path=/tmp/s', '--tag=home'];
    const { worker } = fsCommand.plan([...args, '-o', legacy, '-oxattrmap=:map::a,,b:'], { name: 'fs' });
    expect(worker.log.level).to.equal('error');
    expect(plan('-f', '-d').worker.log.level).to.equal('debug');
    const options = worker.options as FsDeviceSettings;
    expect(options.sharedDir).to.equal(share);
    expect(options.share).to.include({ cache: 'never', xattr: true, posixLocks: false, flockLocks: true });
    expect(options.share).to.include({ writeback: true, announceSubmounts: true, xattrMap: ':map::a,b:' });
    expect(fsCommand.needs([...args, `-osource=${share}`]).descriptors).to.equal('rest');
  });

  it('takes what 1.13 calls deprecated, and what is so without it', () => {
    const args = [`--socket=${dir.path}/s`, '--tag=home', '--inode-file-handles=fallback'];
    const { worker } = fsCommand.plan([...args, '-o', `source=${share},readdirplus,no_writeback`], { name: 'fs' });
    expect(worker.socketPath).to.equal(`${dir.path}/s`);
    const { share: settings } = worker.options as FsDeviceSettings;
    expect(settings).to.include({ inodeFileHandles: 'prefer', writeback: false }).and.not.have.property('readdirplus');
    expect(fsCommand.plan(['--socket', '/tmp/s', ...args.slice(1), `-osource=${share}`], { name: 'fs' }).worker)
      .to.have.property('socketPath')
      .that.equals('/tmp/s');
    expect(plan('--rlimit-nofile=0').worker.options).to.have.property('descriptors').that.is.greaterThan(64);
  });

  it('passes the settings of the log on', () => {
    expect(plan('--syslog').worker.log.format).to.equal('syslog');
    const { log } = plan('--log-level=trace', '--log-format=json').worker;
    expect(log).to.deep.equal({ name: 'fs', level: 'trace', format: 'json', once: true });
  });

  const base = ['--socket-path=/tmp/s', '--tag=home'];
  const cases: Record<string, { readonly args: () => readonly string[]; readonly says: string }> = {
    'no socket': { args: () => ['--tag=t', `--shared-dir=${share}`], says: '--socket-path' },
    'two sockets': { args: () => [...base, '--fd=3', `--shared-dir=${share}`], says: '--fd' },
    'no directory': { args: () => base, says: '--shared-dir' },
    'no tag': { args: () => ['--socket-path=/tmp/s', `--shared-dir=${share}`], says: '--tag' },
    'a tag too long': {
      args: () => ['--socket-path=/tmp/s', `--shared-dir=${share}`, `--tag=${'ä'.repeat(19)}`],
      says: '36',
    },
    'a tag of two lines': {
      args: () => ['--socket-path=/tmp/s', `--shared-dir=${share}`, '--tag=a\nb'],
      says: 'line break',
    },
    'a directory that is a file': {
      args: () => [...base, '--shared-dir=/etc/passwd'],
      says: '--shared-dir=/etc/passwd',
    },
    'a socket path too long': {
      args: () => [`--socket-path=/${'x'.repeat(108)}`, '--tag=t', `--shared-dir=${share}`],
      says: '107',
    },
    'a group without a path': {
      args: () => ['--fd=3', '--socket-group=0', '--tag=t', `--shared-dir=${share}`],
      says: '--socket-group',
    },
    'a window that is no multiple of a range': {
      args: () => [...base, `--shared-dir=${share}`, '--window=3M'],
      says: '2M',
    },
    'a window that QEMU cannot map': { args: () => [...base, `--shared-dir=${share}`, '--window=6M'], says: '4M' },
    'a window over the budget': { args: () => [...base, `--shared-dir=${share}`, '--window=2G'], says: '256 MiB' },
    'a window over the share of mappings': {
      args: () => [...base, `--shared-dir=${share}`, '--max-mappings=30'],
      says: '16 MiB',
    },
    'more mappings than the front-end bears': {
      args: () => [...base, `--shared-dir=${share}`, '--max-mappings=481'],
      says: '480',
    },
    'a state directory that cannot be made': {
      args: () => [...base, `--shared-dir=${share}`, '--state-dir=/etc/passwd/x'],
      says: '--state-dir',
    },
    'a ring that is no power of two': {
      args: () => [...base, `--shared-dir=${share}`, '--queue-size=1000'],
      says: '1024',
    },
    'two forms of the log': {
      args: () => [...base, `--shared-dir=${share}`, '--syslog', '--log-format=json'],
      says: '--syslog',
    },
    'options that contradict each other': {
      args: () => [...base, `--shared-dir=${share}`, '--killpriv-v2', '--no-killpriv-v2'],
      says: '--no-killpriv-v2',
    },
    'access lists with other ids': {
      args: () => [...base, `--shared-dir=${share}`, '--posix-acl', '--translate-uid=map:0:1:1'],
      says: '--posix-acl',
    },
    'an option of old that it does not know': {
      args: () => [...base, '-o', `source=${share},timeout=5`],
      says: '-o timeout: unknown',
    },
    'a name of Object as an option of old': {
      args: () => [...base, '-o', 'constructor'],
      says: '-o constructor: unknown',
    },
    'an option of old without a name': { args: () => [...base, '-o', `=${share}`], says: '-o : unknown' },
    'a word of old that another one takes back': {
      args: () => [...base, '-o', `source=${share},xattr,no_xattr`],
      says: '-o no_xattr and --xattr contradict each other',
    },
    'few descriptors': { args: () => [...base, `--shared-dir=${share}`, '--rlimit-nofile=63'], says: 'from 64' },
    'rules of the same ids': {
      args: () => [...base, `--shared-dir=${share}`, '--translate-uid=guest:0:1:5', '--translate-uid=guest:3:9:2'],
      says: "--translate-uid: id rule 'guest:3:9:2'",
    },
    'a rule of no id': {
      args: () => [...base, `--shared-dir=${share}`, '--translate-gid=guest:0:1:0'],
      says: "--translate-gid: id rule 'guest:0:1:0'",
    },
    'a legacy option without one': { args: () => [...base, '-o'], says: '-o wants a value' },
    'a rule for names that is none': {
      args: () => [...base, `--shared-dir=${share}`, '--xattrmap=:ok:all::: :prefix:all:x'],
      says: '--xattrmap: xattr rule 2',
    },
    'a rule for ids that is none': {
      args: () => [...base, `--shared-dir=${share}`, '--translate-gid=guest:1:2'],
      says: "--translate-gid: id rule 'guest:1:2'",
    },
    'a map that is none': {
      args: () => [...base, `--shared-dir=${share}`, '--uid-map=0:1:2'],
      says: '--uid-map=0:1:2: give :INSIDE:OUTSIDE:COUNT:',
    },
    'a map beyond the last id': {
      args: () => [...base, `--shared-dir=${share}`, '--gid-map=:4294967294:0:2:'],
      says: '--gid-map=:4294967294:0:2:',
    },
    'a group that does not exist': {
      args: () => [...base, `--shared-dir=${share}`, '--socket-group=no such group'],
      says: '--socket-group',
    },
  };
  for (const [name, { args, says }] of Object.entries(cases)) {
    it(`refuses ${name}`, () => {
      expect(complaint(args())).to.include(says);
    });
  }

  it('refuses a descriptor that is no socket', () => {
    writeFileSync(join(dir.path, 'file'), '');
    const fd = openSync(join(dir.path, 'file'), 'r');
    expect(complaint([`--fd=${fd}`, '--tag=t', `--shared-dir=${share}`])).to.include('socket');
    closeSync(fd);
    expect(complaint([`--fd=${fd}`, '--tag=t', `--shared-dir=${share}`])).to.include('socket');
  });
});

describe('readArguments', () => {
  const capabilities = '{"type":"fs","features":["separate-options"]}\n';
  for (const args of [
    ['fs', '--print-capabilities'],
    ['--print-capabilities'],
    ['fs', '--nonsense', '--print-capabilities'],
  ]) {
    it(`prints capabilities for ${args.join(' ')}`, () => {
      expect(readArguments(args)).to.deep.equal({ kind: 'print', text: capabilities });
    });
  }

  it('says that a device migrates where it does: without a window, and without locks of this host', () => {
    const features = (...args: string[]): unknown => {
      const request = readArguments(['fs', ...args, '--print-capabilities']);
      return request.kind === 'print' && JSON.parse(request.text).features;
    };
    expect(features('--window=0')).to.deep.equal(['migrate-precopy', 'separate-options']);
    expect(features('--readonly', '--shared-dir=/nowhere')).to.deep.equal(['migrate-precopy', 'separate-options']);
    for (const args of [
      ['--window=64M'],
      ['--window=0', '--flock'],
      ['--window=0', '--posix-lock'],
      ['--window=0', '--x'],
    ]) {
      expect(features(...args), args.join(' ')).to.deep.equal(['separate-options']);
    }
  });

  it('prints the version, of whichever command', () => {
    const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
      version: string;
    };
    for (const args of [['--version'], ['-V'], ['fs', '--version', '--tag=t'], ['ctl', '-V']]) {
      expect(readArguments(args), args.join(' ')).to.deep.equal({ kind: 'print', text: `oriel ${version}\n` });
    }
  });

  it('prints help', () => {
    const general = readArguments(['--help']);
    const special = readArguments(['fs', '--help']);
    expect(general.kind === 'print' && general.text).to.include('oriel fs');
    expect(special.kind === 'print' && special.text).to.include('--shared-dir DIR');
  });

  for (const args of [[], ['vga'], ['toString']]) {
    it(`names the devices for '${args.join(' ')}'`, () => {
      expect(() => readArguments(args)).to.throw(CliError, 'fs');
    });
  }
});
