import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { type TempDir, tempDir } from '@oriel/sys/testing';
import { expect } from 'chai';
import { CliError } from '../src/cli/cli-error.ts';
import { planRun, type RunCommandPlan } from '../src/commands/run.ts';
import type { FsDeviceSettings } from '../src/devices/fs.ts';
import type { GpuDeviceSettings } from '../src/devices/gpu.ts';

const MIB = 1024 * 1024;

describe('oriel run, its plan', () => {
  let dir: TempDir;
  let fs: string;
  const gpu = 'gpu,socket-path=/tmp/g';

  beforeEach(() => {
    dir = tempDir();
    mkdirSync(join(dir.path, 'share'));
    fs = `fs,socket-path=/tmp/f,shared-dir=${join(dir.path, 'share')},tag=home,state-dir=${dir.path}`;
  });
  afterEach(() => dir[Symbol.dispose]());

  function plan(...args: string[]): RunCommandPlan {
    return planRun(args);
  }

  function complaint(...args: string[]): string {
    try {
      planRun(args);
    } catch (error) {
      expect(error).to.be.instanceOf(CliError);
      expect((error as CliError).message).not.to.include('\n');
      return (error as CliError).message;
    }
    throw new Error('nothing was wrong');
  }

  it('makes a device of each, which share the mappings', () => {
    const { workers, controlSocket, warnings, log } = plan('--device', fs, `--device=${gpu},host-visible=64M`);
    expect(workers.map(({ type }) => type)).to.deep.equal(['fs', 'gpu']);
    expect(workers.map(({ log: { name } }) => name)).to.deep.equal(['fs', 'gpu']);
    expect(workers.map(({ socketPath }) => socketPath)).to.deep.equal(['/tmp/f', '/tmp/g']);
    expect(workers.map(({ maxMappings }) => maxMappings)).to.deep.equal([384, 96]);
    expect(workers[1]!.options).to.include({ hostVisible: 64 * MIB } satisfies Partial<GpuDeviceSettings>);
    expect(controlSocket).to.equal(undefined);
    expect(warnings).to.deep.equal([]);
    expect(log).to.deep.equal({ name: 'oriel', level: 'info', format: 'text' });
    expect(structuredClone(workers)).to.deep.equal(workers);
  });

  it('shares descriptors, so that a guest cannot take those of the share', () => {
    const few = plan('--rlimit-nofile=10000', '--device', fs, '--device', gpu).workers;
    expect((few[0]!.options as FsDeviceSettings).descriptors).to.equal(5000);
    expect((few[1]!.options as GpuDeviceSettings).maxResources).to.equal(5000 - 1024);
    const many = plan('--rlimit-nofile=10000', '--device', fs, '--device', `${gpu},max-resources=976`).workers;
    expect((many[0]!.options as FsDeviceSettings).descriptors).to.equal(8000);
    expect((many[1]!.options as GpuDeviceSettings).maxResources).to.equal(976);
  });

  it('lets common options go for all, and some be decided by a device', () => {
    const args = ['--log-level=debug', '--log-format=json', '--spin-us=7', '--frontend=crosvm'];
    const { workers, controlSocket } = plan(
      ...args,
      '--control-socket=/tmp/c',
      '--device',
      fs,
      '--device',
      `${gpu},spin-us=0,log-level=warn`,
    );
    expect(workers.map(({ spinNs }) => spinNs)).to.deep.equal([7000, 0]);
    expect(workers.map(({ log }) => log.level)).to.deep.equal(['debug', 'warn']);
    expect(workers.map(({ log }) => log.format)).to.deep.equal(['json', 'json']);
    expect(workers.map(({ frontend }) => frontend)).to.deep.equal(['crosvm', 'crosvm']);
    expect(controlSocket).to.equal('/tmp/c');
  });

  it('takes mappings from the whole or for one', () => {
    const whole = plan('--max-mappings=420', '--device', fs, '--device', gpu).workers;
    expect(whole.map(({ maxMappings }) => maxMappings)).to.deep.equal([384, 36]);
    const one = plan('--device', fs, '--device', `${gpu},max-mappings=20`).workers;
    expect(one.map(({ maxMappings }) => maxMappings)).to.deep.equal([384, 20]);
  });

  it('lets flags of the process go for all', () => {
    const { log, workers } = plan('--syslog', '--packed-rings', '--device', fs, '--device', gpu);
    expect([log, ...workers.map((worker) => worker.log)].map(({ format }) => format)).to.deep.equal(
      Array(3).fill('syslog'),
    );
    expect(workers.map(({ packedRings }) => packedRings)).to.deep.equal([true, true]);
  });

  it('names several of a kind, as told or by a number', () => {
    const { workers } = plan(
      '--device',
      gpu,
      '--device=gpu,socket-path=/tmp/h',
      '--device=gpu,socket-path=/tmp/i,id=head.2',
    );
    expect(workers.map(({ log }) => log.name)).to.deep.equal(['gpu', 'gpu2', 'head.2']);
    expect(workers.map(({ maxMappings }) => maxMappings)).to.deep.equal([160, 160, 160]);
  });

  it('takes flags alone, on and off, and values with commas', () => {
    const outputs = `${gpu},outputs=800x600,,640x480`;
    const { workers } = plan('--device', `${fs},readonly,xattr=on`, '--device', outputs);
    const { share, windowSize } = workers[0]!.options as FsDeviceSettings;
    expect({ windowSize, ...share }).to.include({ readonly: true, xattr: true, windowSize: 0 });
    expect((workers[1]!.options as GpuDeviceSettings).outputs).to.have.length(2);
    expect(workers[1]!.maxMappings).to.equal(480);
    const { options } = plan('--device', `${fs},readonly=off`).workers[0]!;
    expect((options as FsDeviceSettings).share).to.include({ readonly: false });
  });

  it('passes warnings on with the name of the device', () => {
    expect(plan('--device', `${fs},readonly`).warnings.join()).to.match(/^fs: --readonly/);
  });

  const cases: Record<string, { readonly args: () => readonly string[]; readonly says: string }> = {
    'no device': { args: () => [], says: '--device' },
    'an unknown device': { args: () => ['--device=vga,socket-path=/tmp/x'], says: 'fs, gpu' },
    'a name of Object': { args: () => ['--device=constructor'], says: 'fs, gpu' },
    'an unknown key': { args: () => ['--device', `${gpu},tag=x`], says: 'host-visible' },
    'a key of Object': { args: () => ['--device', `${gpu},constructor=x`], says: 'host-visible' },
    'an option that goes for all': { args: () => ['--device', `${gpu},frontend=qemu`], says: '--frontend beside' },
    'help in a device': { args: () => ['--device', `${gpu},help`], says: '--help beside' },
    'a missing value': { args: () => ['--device', `${gpu},outputs`], says: 'outputs=WxH' },
    'a flag with a value': { args: () => ['--device', `${fs},readonly=yes`], says: 'readonly=on' },
    'a bad value': { args: () => ['--device', `${gpu},outputs=1x1`], says: '--device gpu: --outputs' },
    'a device without socket': {
      args: () => ['--device=gpu'],
      says: '--device gpu: give exactly one of --socket-path',
    },
    'a socket beside the devices': { args: () => ['--socket-path=/tmp/x', '--device', gpu], says: 'unknown option' },
    'one socket for two': { args: () => ['--device', gpu, '--device', gpu], says: '/tmp/g is given to two' },
    'the control socket for a device': { args: () => ['--control-socket=/tmp/g', '--device', gpu], says: '/tmp/g' },
    'one folder for the pictures of two': {
      args: () => ['a', 'b'].map((name) => `--device=gpu,socket-path=/tmp/${name},screenshot-dir=${dir.path}`),
      says: 'is given to two',
    },
    'a name twice': {
      args: () => ['--device', `${gpu},id=x`, '--device', 'gpu,socket-path=/tmp/h,id=x'],
      says: 'id:',
    },
    'a name of two lines': { args: () => ['--device', `${gpu},id=x\ny`], says: 'id:' },
    'windows that do not fit together': {
      args: () => ['--device', `${fs},window=512M,dax-tail=copy`, '--device', `${gpu},max-mappings=400`],
      says: 'gpu 400 mappings are',
    },
    'a window that leaves no mappings to the blobs': {
      args: () => ['--max-mappings=390', '--device', fs, '--device', gpu],
      says: 'fs 384 + gpu 16',
    },
  };
  for (const [name, { args, says }] of Object.entries(cases)) {
    it(`refuses ${name}`, () => {
      expect(complaint(...args())).to.include(says);
    });
  }
});
