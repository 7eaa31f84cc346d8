import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type TempDir, tempDir } from '@oriel/sys/testing';
import { expect } from 'chai';
import { decode } from 'fast-png';
import { askControl } from '../src/control/client.ts';
import { ControlError } from '../src/device-module.ts';
import { ControlClient } from './fixtures/control-client.ts';
import { connectTo } from './fixtures/hello.ts';
import { Program } from './fixtures/program.ts';

const DEVICES = '{"command":"devices"}';

describe('the control socket, in a real process', function () {
  this.timeout(20_000);
  let dir: TempDir;
  let controlSocket: string;
  const programs: Program[] = [];
  const clients: ControlClient[] = [];

  function start(...plans: object[]): Program {
    const [first, ...rest] = plans;
    const all = [{ controlSocket, ...first }, ...rest].map((plan) => JSON.stringify(plan));
    const program = new Program('./run-rng.ts', all);
    programs.push(program);
    return program;
  }

  /** One device, that serves. */
  async function serve(more: object = {}): Promise<Program> {
    const program = start({ socketPath: join(dir.path, 'rng.sock'), ...more });
    await program.says('listening');
    return program;
  }

  async function client(): Promise<ControlClient> {
    const made = await ControlClient.connect(controlSocket);
    clients.push(made);
    return made;
  }

  async function complaint(work: Promise<unknown>): Promise<string> {
    const error = await work.then(
      () => undefined,
      (reason) => reason,
    );
    expect(error).to.be.instanceOf(ControlError);
    expect(error.message).not.to.include('\n');
    return error.message;
  }

  beforeEach(() => {
    dir = tempDir();
    controlSocket = join(dir.path, 'control');
  });
  afterEach(async () => {
    for (const { socket } of clients.splice(0)) {
      socket.destroy();
    }
    for (const program of programs.splice(0)) {
      program.child.kill('SIGKILL');
      await program.end();
    }
    dir[Symbol.dispose]();
  });

  it('is for its owner alone, and gone with the program', async () => {
    const program = await serve();
    expect(statSync(controlSocket).mode & 0o777).to.equal(0o600);
    const end = await program.stop('SIGTERM');
    expect(end.code, program.stderr).to.equal(0);
    expect(existsSync(controlSocket)).to.equal(false);
  });

  it('ends with the program although a client is there', async () => {
    const program = await serve();
    const one = await client();
    await one.ask(DEVICES);
    expect((await program.stop('SIGTERM')).code, program.stderr).to.equal(0);
    expect(await one.reply()).to.equal(undefined);
  });

  it('replaces the file of a killed program, and refuses that of a living one', async () => {
    const killed = await serve();
    await killed.stop('SIGKILL');
    expect(existsSync(controlSocket)).to.equal(true);
    await serve();
    const second = start({ socketPath: join(dir.path, 'other.sock') });
    expect((await second.end()).code).to.equal(1);
    expect(second.stderr.trim().split('\n')).to.have.length(1);
    expect(second.stderr).to.include('EADDRINUSE');
    expect(await askControl(controlSocket, { command: 'devices' })).to.have.length(1);
  });

  it('is gone, with the sockets of the devices, when the program is ended by force', async () => {
    const program = await serve({ options: { stuck: true } });
    const frontend = await connectTo(join(dir.path, 'rng.sock'));
    await program.says('stuck');
    expect((await program.stop('SIGTERM')).signal).to.equal('SIGKILL');
    frontend.destroy();
    expect(existsSync(controlSocket)).to.equal(false);
    expect(existsSync(join(dir.path, 'rng.sock'))).to.equal(false);
  });

  it('names the devices', async () => {
    await serve();
    const [device] = await askControl(controlSocket, { command: 'devices' });
    const socketPath = join(dir.path, 'rng.sock');
    expect(device).to.deep.equal({ device: 'rng', type: 'rng', frontend: 'qemu', socketPath });
  });

  it('gives the counters of all devices, or of one', async () => {
    const program = start(
      { socketPath: join(dir.path, 'a.sock'), name: 'a' },
      { socketPath: join(dir.path, 'b.sock'), name: 'b' },
    );
    await program.says('listening: ');
    const all = await askControl(controlSocket, { command: 'stats' });
    expect(all).to.have.length(2);
    expect(all[0]).to.include({ device: 'a', connections: 0, answer: 42 });
    expect(all[1]).to.include({ device: 'b' });
    const one = await askControl(controlSocket, { command: 'stats', device: 'b' });
    expect(one).to.have.length(1);
    expect(one[0]).to.include({ device: 'b' });
    expect(await complaint(askControl(controlSocket, { command: 'stats', device: 'c' }))).to.include('a, b');
  });

  it("has a device's requests carried out by its thread", async () => {
    await serve({ type: 'gpu' });
    const request = { command: 'outputs', outputs: [null, { width: 20, height: 30 }], name: 'ä' };
    expect(await askControl(controlSocket, request)).to.deep.equal([{ request }]);
    expect(await complaint(askControl(controlSocket, { command: 'blobs' }))).to.equal('no blobs here');
    const [shot] = (await askControl(controlSocket, { command: 'screenshot' })) as [{ png: string }];
    expect(shot).to.include({ scanout: 1, width: 1, height: 1 });
    const { data, channels } = decode(Buffer.from(shot.png, 'base64'));
    expect([...data]).to.deep.equal([3, 2, 1]);
    expect(channels).to.equal(3);
  });

  it('asks for a name where several devices can be meant, and says when there is none', async () => {
    const gpu = (name: string) => ({ socketPath: join(dir.path, name), name, type: 'gpu' });
    const program = start(gpu('one'), gpu('two'), { ...gpu('three'), type: 'rng' });
    await program.says('listening');
    expect(await complaint(askControl(controlSocket, { command: 'blobs' }))).to.include('--device one, two');
    const named = { command: 'outputs', device: 'two' };
    expect(await askControl(controlSocket, named)).to.deep.equal([{ request: named }]);
    await program.stop('SIGTERM');
    await serve();
    expect(await complaint(askControl(controlSocket, { command: 'blobs' }))).to.include('no gpu device');
  });

  it('survives a bug in a request, and logs it', async () => {
    const program = await serve({ type: 'gpu' });
    expect(await complaint(askControl(controlSocket, { command: 'outputs', outputs: 'bug' }))).to.include('a bug');
    await program.says('TypeError');
    expect(await askControl(controlSocket, { command: 'devices' })).to.have.length(1);
  });

  it('answers a request that comes before the device serves', async () => {
    const program = start({ socketPath: join(dir.path, 'rng.sock'), options: { slowMs: 300 } });
    await program.says('making');
    const [stats] = await askControl(controlSocket, { command: 'stats' });
    expect(stats).to.include({ device: 'rng', connections: 0 });
  });

  it('says that there is nobody', async () => {
    expect(await complaint(askControl(controlSocket, { command: 'devices' }))).to.include(controlSocket);
  });

  describe('with hostile clients', () => {
    const bad: Record<string, string> = {
      'no JSON': '{"command":',
      'a number': '7',
      null: 'null',
      'a list': '["devices"]',
      'no command': '{"device":"rng"}',
      'a command that is no text': '{"command":{}}',
      'an unknown command': '{"command":"halt"}',
      'a name of Object': '{"command":"constructor"}',
      'a device that is no text': '{"command":"stats","device":{"toString":1}}',
      'much nesting': '['.repeat(60_000),
    };
    for (const [name, line] of Object.entries(bad)) {
      it(`refuses ${name}, and answers the next request`, async () => {
        await serve();
        const one = await client();
        expect(await one.ask(line)).to.include({ ok: false });
        expect(await one.ask(DEVICES)).to.include({ ok: true });
      });
    }

    it('lets go of one whose line never ends, and of nobody else', async () => {
      await serve();
      const patient = await client();
      const endless = await client();
      endless.socket.on('error', () => {});
      endless.socket.write('x'.repeat(70_000));
      expect(await endless.reply()).to.equal(undefined);
      expect(await patient.ask(DEVICES)).to.include({ ok: true });
    });

    it('answers many requests of one chunk in order, to one that has said all', async () => {
      await serve({ type: 'gpu' });
      const one = await client();
      const lines = Array.from({ length: 50 }, (_, index) => JSON.stringify({ command: 'outputs', index }));
      one.socket.end(`\n${lines.join('\n')}`);
      for (let index = 0; index < 50; index++) {
        const reply = (await one.reply()) as { entries: [{ request: { index: number } }] };
        expect(reply.entries[0].request.index).to.equal(index);
      }
      expect(await one.reply()).to.equal(undefined);
    });

    it('serves no more than it can, and goes on when some leave', async () => {
      await serve();
      const all = await Promise.all(Array.from({ length: 16 }, client));
      await Promise.all(all.map((one) => one.ask(DEVICES)));
      const over = await client();
      over.socket.on('error', () => {});
      expect(await over.reply()).to.equal(undefined);
      all[0]!.socket.end();
      expect(await all[0]!.reply()).to.equal(undefined);
      expect(await (await client()).ask(DEVICES)).to.include({ ok: true });
    });
  });

  describe('pictures', () => {
    it('keeps the first and the last one, whole, and says so to the device', async () => {
      const program = await serve({ screenshotDir: dir.path, options: { picture: 7 } });
      await program.says('shown 7');
      const file = join(dir.path, 'scanout-0.png');
      expect([...decode(readFileSync(file)).data]).to.deep.equal([3, 2, 7]);
      expect(statSync(file).mode & 0o777).to.equal(0o600);
      expect((await program.stop('SIGTERM')).code).to.equal(0);
      expect([...decode(readFileSync(file)).data]).to.deep.equal([3, 2, 8]);
    });

    it('goes on when one cannot be kept', async () => {
      const program = await serve({ screenshotDir: join(dir.path, 'gone'), options: { picture: 7 } });
      await program.says('no picture of scanout 0: ENOENT');
      await program.says('shown 7');
      expect((await program.stop('SIGTERM')).code).to.equal(0);
    });
  });

  describe('several devices', () => {
    const device = (name: string, options: object = {}) => ({ socketPath: join(dir.path, name), name, options });

    it('all stop when one fails, and the status tells', async () => {
      const program = start(device('good'), device('bad', { fail: 'the disk is gone', slowMs: 0 }));
      expect((await program.end()).code).to.equal(1);
      expect(program.stderr).to.include('the disk is gone').and.to.include('bad failed');
      expect(existsSync(join(dir.path, 'good'))).to.equal(false);
      expect(existsSync(controlSocket)).to.equal(false);
    });

    it('all stop on a signal', async () => {
      const program = start(device('one'), device('two'));
      await askControl(await ready(program), { command: 'stats' });
      expect((await program.stop('SIGINT')).code, program.stderr).to.equal(0);
      expect(existsSync(join(dir.path, 'one')) || existsSync(join(dir.path, 'two'))).to.equal(false);
    });

    it('log their counters by name', async () => {
      const program = start(device('one'), device('two'));
      await askControl(await ready(program), { command: 'stats' });
      program.child.kill('SIGUSR2');
      await program.says('"name":"one","message":"counters"');
      await program.says('"name":"two","message":"counters"');
    });

    async function ready(program: Program): Promise<string> {
      await program.says('listening');
      return controlSocket;
    }
  });
});
