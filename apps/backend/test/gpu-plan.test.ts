import { type TempDir, tempDir } from '@oriel/sys/testing';
import { expect } from 'chai';
import { CliError } from '../src/cli/cli-error.ts';
import type { DevicePlan } from '../src/commands/command.ts';
import { gpuCommand } from '../src/commands/gpu.ts';
import type { GpuDeviceSettings } from '../src/devices/gpu.ts';

const MIB = 1024 * 1024;

describe('oriel gpu, its plan', () => {
  let dir: TempDir;

  beforeEach(() => {
    dir = tempDir();
  });
  afterEach(() => dir[Symbol.dispose]());

  function plan(...more: string[]): DevicePlan {
    return gpuCommand.plan(['--socket-path=/tmp/s', ...more], { name: 'gpu' });
  }

  function settings(...more: string[]): GpuDeviceSettings {
    return plan(...more).worker.options as GpuDeviceSettings;
  }

  function complaint(args: readonly string[]): string {
    try {
      gpuCommand.plan(args, { name: 'gpu' });
    } catch (error) {
      expect(error).to.be.instanceOf(CliError);
      expect((error as CliError).message).not.to.include('\n');
      return (error as CliError).message;
    }
    throw new Error('nothing was wrong');
  }

  it('has defaults that a front-end bears', () => {
    const { worker, warnings, controlSocket } = plan();
    expect(warnings).to.deep.equal([]);
    expect(controlSocket).to.equal(undefined);
    expect(worker).to.include({ type: 'gpu', frontend: 'qemu', maxMappings: undefined, screenshotDir: undefined });
    expect(worker.options).to.deep.equal({
      hostVisible: 256 * MIB,
      outputs: [{ width: 1280, height: 800 }],
      capsets: ['memory'],
      channels: {
        channels: [],
        security: 'auto',
        appId: undefined,
        instanceId: undefined,
        maxFds: 256,
        maxTotalFds: 1,
        maxBytes: 256 * MIB,
        maxBlobs: 1024,
      },
      maxHostmem: 256 * MIB,
      maxResources: (worker.options as GpuDeviceSettings).maxResources,
      maxContexts: 256,
      queueSize: 256,
      screenshots: false,
    } satisfies GpuDeviceSettings);
    expect(structuredClone(worker)).to.deep.equal(worker);
  });

  it('takes several outputs, one unplugged, and none', () => {
    expect(settings('--outputs=1024x768,off,16x16384').outputs).to.deep.equal([
      { width: 1024, height: 768 },
      { width: 1280, height: 800, enabled: false },
      { width: 16, height: 16384 },
    ]);
    expect(settings('--outputs=none', '--capsets=none', '--host-visible=0')).to.deep.include({
      outputs: [],
      capsets: [],
    });
  });

  it('takes any number of pages where the front-end does', () => {
    expect(settings('--frontend=crosvm', '--host-visible=12K').hostVisible).to.equal(12 * 1024);
    expect(settings('--host-visible=4K').hostVisible).to.equal(4096);
  });

  it('plans with fewer resources where there are few descriptors, and says so', () => {
    expect(plan('--rlimit-nofile=5000').warnings).to.deep.equal([]);
    const { worker, warnings } = plan('--rlimit-nofile=5000', '--max-resources=5000');
    expect((worker.options as GpuDeviceSettings).maxResources).to.equal(5000 - 1024);
    expect(warnings.join()).to.include('--rlimit-nofile');
    expect(settings('--rlimit-nofile=64').maxResources).to.equal(32);
  });

  it('warns of a number of mappings that is too small for a desktop', () => {
    expect(plan('--max-mappings=3').warnings.join()).to.include('--max-mappings=3');
    expect(plan('--max-mappings=3', '--host-visible=0').warnings).to.deep.equal([]);
  });

  it('keeps pictures in a folder that can be written', () => {
    const { worker } = plan(`--screenshot-dir=${dir.path}`);
    expect(worker.screenshotDir).to.equal(dir.path);
    expect(worker.options).to.include({ screenshots: true });
  });

  it('lets guest programs reach the sockets that are named', () => {
    const { capsets, channels } = settings(
      '--channel=wayland=/run/user/1000/wayland-0',
      '--channel=x11=/tmp/.X11-unix/X0,pipewire=/run/a,b=c',
      '--wayland-app-id=org.example.vm',
      '--wayland-instance-id=vm1',
      '--wayland-security-context=require',
      '--channel-max-fds=64',
      '--channel-max-bytes=8M',
    );
    expect(capsets).to.deep.equal(['memory', 'cross-domain']);
    expect(channels).to.deep.equal({
      channels: [
        { type: 1, path: '/run/user/1000/wayland-0' },
        { type: 0x11, path: '/tmp/.X11-unix/X0' },
        { type: 0x10, path: '/run/a,b=c' },
      ],
      security: 'require',
      appId: 'org.example.vm',
      instanceId: 'vm1',
      maxFds: 64,
      maxTotalFds: channels.maxTotalFds,
      maxBytes: 8 * MIB,
      maxBlobs: 1024,
    });
    expect(settings('--capsets=cross-domain').channels.channels).to.deep.equal([]);
  });

  it('keeps descriptors for guest programs that reach sockets', () => {
    const channel = '--channel=wayland=/tmp/w';
    expect(gpuCommand.needs([channel])).to.deep.include({ descriptors: 17408 + 4096 });
    const few = settings(channel, '--rlimit-nofile=4000');
    expect(few.channels.maxTotalFds).to.equal(1000);
    expect(few.maxResources).to.equal(3000 - 1024);
  });

  it('tells what it needs of mappings and descriptors', () => {
    expect(gpuCommand.needs([])).to.deep.equal({ mappings: { atLeast: 16 }, descriptors: 17408 });
    expect(gpuCommand.needs(['--host-visible=0', '--max-resources=10'])).to.deep.equal({
      mappings: 0,
      descriptors: 1034,
    });
    expect(gpuCommand.needs(['--max-mappings=9', '--rlimit-nofile=99'])).to.deep.equal({
      mappings: 9,
      descriptors: 99,
    });
  });

  const base = ['--socket-path=/tmp/s'];
  const cases: Record<string, { readonly args: readonly string[]; readonly says: string }> = {
    'no socket': { args: [], says: '--socket-path' },
    'a window that is no multiple of a page': {
      args: [...base, '--frontend=crosvm', '--host-visible=5000'],
      says: '4K',
    },
    'a window that QEMU cannot map': { args: [...base, '--host-visible=6M'], says: '4M' },
    'more mappings than the front-end bears': { args: [...base, '--max-mappings=481'], says: '480' },
    'an output too small': { args: [...base, '--outputs=15x800'], says: '16 to 16384' },
    'an output too large': { args: [...base, '--outputs=800x16385'], says: '16 to 16384' },
    'an output that is none': { args: [...base, '--outputs=800x600,'], says: "''" },
    'too many outputs': { args: [...base, `--outputs=${new Array(17).fill('off').join()}`], says: '16' },
    'an unknown context type': { args: [...base, '--capsets=venus'], says: 'memory' },
    'a context type twice': { args: [...base, '--capsets=memory,memory'], says: 'twice' },
    'a channel without a path': { args: [...base, '--channel=wayland'], says: 'NAME=PATH' },
    'a channel of no known name': { args: [...base, '--channel=sound=/tmp/w'], says: 'pipewire' },
    'a channel twice': { args: [...base, '--channel=x11=/a', '--channel=x11=/b'], says: 'twice' },
    'a channel path too long': { args: [...base, `--channel=x11=/${'x'.repeat(108)}`], says: '107' },
    'a channel that the context types leave out': {
      args: [...base, '--channel=x11=/a', '--capsets=memory'],
      says: 'cross-domain',
    },
    'ids for a compositor that is not there': { args: [...base, '--wayland-app-id=a'], says: 'wayland=PATH' },
    'ids that nobody hears of': {
      args: [...base, '--channel=wayland=/a', '--wayland-app-id=a', '--wayland-security-context=off'],
      says: 'ids',
    },
    'memory that is too little for a guest program': { args: [...base, '--channel-max-bytes=1K'], says: '1M' },
    'a ring that is no power of two': { args: [...base, '--queue-size=100'], says: '128' },
    'no resources': { args: [...base, '--max-resources=0'], says: '--max-resources' },
    'a folder that is none': { args: [...base, '--screenshot-dir=/etc/passwd'], says: '/etc/passwd' },
    "the front-end's socket for control": { args: [...base, '--control-socket=/tmp/s'], says: '--control-socket' },
    'a control path too long': { args: [...base, `--control-socket=/${'x'.repeat(108)}`], says: '107' },
  };
  for (const [name, { args, says }] of Object.entries(cases)) {
    it(`refuses ${name}`, () => {
      expect(complaint(args)).to.include(says);
    });
  }
});
