import { closeSync, mkdirSync, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TempDir, tempDir } from '@oriel/sys/testing';
import { expect } from 'chai';
import { CliError } from '../src/cli/cli-error.ts';
import type { DevicePlan } from '../src/commands/command.ts';
import { fsCommand } from '../src/commands/fs.ts';
import type { FsDeviceSettings } from '../src/devices/fs.ts';
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
      inodeFileHandles: 'prefer',
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

  it('passes the settings of the log on', () => {
    const { log } = plan('--log-level=trace', '--log-format=json').worker;
    expect(log).to.deep.equal({ name: 'fs', level: 'trace', format: 'json' });
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
