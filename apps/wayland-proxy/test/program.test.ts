import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { BlockingLoop, Fd, openSys, silentLogger } from '@oriel/sys';
import { leakCheck, tempDir } from '@oriel/sys/testing';
import { expect } from 'chai';
import { readOptions, socketPath } from '../src/cli/options.ts';
import { runCommand } from '../src/command.ts';
import { ProxyError } from '../src/errors.ts';
import { openLog } from '../src/log.ts';
import { Server } from '../src/server.ts';
import { FakeClient } from './support/fake-client.ts';
import { FakeHost } from './support/fake-host.ts';

const sys = openSys();
const MAIN = fileURLToPath(new URL('../src/main.ts', import.meta.url));

function oriel(...args: string[]) {
  const flags = ['--conditions=@oriel/source', '--disable-warning=ExperimentalWarning', MAIN];
  return spawnSync(process.execPath, [...flags, ...args], { encoding: 'utf8' });
}

const usage = (work: () => unknown) => expect(work).to.throw().with.property('code', 'ERR_PROXY_USAGE');

describe('oriel-wayland', function () {
  this.timeout(60_000);

  it('reads its command line', () => {
    expect(readOptions([])).to.deep.equal({
      socket: 'wayland-0',
      renderNode: '/dev/dri/renderD128',
      logLevel: 'info',
      help: false,
      command: [],
    });
    const given = ['--socket=w', '--render-node', '/dev/x', '--log-level=off', '--', 'foot', '--socket=y'];
    expect(readOptions(given)).to.deep.equal({
      socket: 'w',
      renderNode: '/dev/x',
      logLevel: 'off',
      help: false,
      command: ['foot', '--socket=y'],
    });
    for (const wrong of [['--nothing'], ['foot'], ['--'], ['--log-level=loud'], ['--socket='], ['--socket']]) {
      usage(() => readOptions(wrong));
    }
    expect(socketPath('w', { XDG_RUNTIME_DIR: '/run/user/0' })).to.equal('/run/user/0/w');
    expect(socketPath('/x/w', {})).to.equal('/x/w');
    usage(() => socketPath('w', {}));
  });

  it('says in one line what to change', () => {
    const help = oriel('--help');
    expect([help.status, help.stderr]).to.deep.equal([0, '']);
    expect(help.stdout).to.include('--render-node PATH');
    const wrong = oriel('--bogus');
    expect([wrong.status, wrong.stdout, wrong.stderr.trim().split('\n').length]).to.deep.equal([2, '', 1]);
    const device = oriel('--socket=/nowhere/w', '--render-node=/dev/null');
    expect(device.status).to.equal(1);
    expect(device.stderr).to.match(/^oriel-wayland: ERR_PROXY_DEVICE: \/dev\/null has no cross-domain contexts/);
  });

  it('runs a command with the socket, and ends with its status', async () => {
    expect(await runCommand(['sh', '-c', 'test "$WAYLAND_DISPLAY" = w && exit 7'], 'w')).to.equal(7);
    expect(await runCommand(['sh', '-c', 'kill -TERM $$'], 'w')).to.equal(143);
    const error = await runCommand(['/nowhere/program'], 'w').catch((reason: unknown) => reason);
    expect(error).to.be.instanceOf(ProxyError).with.property('code', 'ERR_PROXY_USAGE');
  });

  it('writes log lines that nobody can forge, and not without end', () => {
    const lines: string[] = [];
    const log = openLog('info', (line) => lines.push(line));
    log.debug('unseen');
    log.warn('a\nb', { x: '\u001b[31m' });
    expect(lines).to.deep.equal(['oriel-wayland: warn: a\\x0ab x=\\x1b[31m\n']);
    const from = performance.now();
    for (let count = 0; count < 1000; count++) log.warn('again');
    const seconds = (performance.now() - from) / 1000;
    // A hundred a second, and the second that ran already when the first was written.
    expect(lines.length).to.be.within(100, 101 * (2 + Math.floor(seconds)));
  });
});

describe('Server', () => {
  const withServer = (test: (path: string, loop: BlockingLoop, server: Server, hosts: FakeHost[]) => void) => () => {
    using dir = tempDir();
    using _leaks = leakCheck();
    using loop = new BlockingLoop(sys);
    const hosts: FakeHost[] = [];
    const path = `${dir.path}/wayland-0`;
    const server = new Server(
      {
        sys,
        loop,
        log: silentLogger,
        openChannel: (handler) => {
          hosts.push(new FakeHost(loop, handler));
          return hosts.at(-1)!;
        },
      },
      path,
    );
    using _server = server;
    test(path, loop, server, hosts);
  };
  const connect = (path: string) => new FakeClient(new Fd(sys.fd, sys.socket.connectUnix(path)));
  const settle = (loop: BlockingLoop) => {
    while (loop.runOnce(0) > 0);
  };

  it(
    'gives every client a connection of its own',
    withServer((path, loop, server, hosts) => {
      const clients = Array.from({ length: 20 }, () => connect(path));
      settle(loop);
      expect([server.clients, hosts.length]).to.deep.equal([20, 20]);
      clients[3]!.request(99, 'wl_surface', 'commit', []);
      clients[4]!.close();
      settle(loop);
      expect(server.clients).to.equal(18);
      expect(hosts.flatMap((host, index) => (host.disposed ? [index] : []))).to.deep.equal([3, 4]);
      clients[0]!.request(1, 'wl_display', 'sync', [2]);
      settle(loop);
      expect(hosts.map((host) => host.requests().length)).to.deep.equal([1, ...new Array<number>(19).fill(0)]);
      for (const client of clients) client[Symbol.dispose]();
      settle(loop);
      expect(server.clients).to.equal(0);
    }),
  );

  it(
    'lets those wait who are too many',
    withServer((path, loop, server) => {
      const clients = Array.from({ length: 257 }, () => {
        const client = connect(path);
        settle(loop);
        return client;
      });
      expect(server.clients).to.equal(256);
      clients[0]!.close();
      settle(loop);
      expect(server.clients).to.equal(256);
      for (const client of clients) client[Symbol.dispose]();
      settle(loop);
      expect(server.clients).to.equal(0);
    }),
  );

  it(
    'does not take a socket away from another program',
    withServer((path, loop, server, hosts) => {
      const openChannel = () => hosts[0]!;
      usage(() => new Server({ sys, loop, log: silentLogger, openChannel }, path));
      usage(() => new Server({ sys, loop, log: silentLogger, openChannel }, '/nowhere/w'));
      server[Symbol.dispose]();
      expect(existsSync(path)).to.equal(false);
    }),
  );

  it(
    'survives a device that fails as a client comes',
    withServer((path, loop, server, hosts) => {
      const { poll } = FakeHost.prototype;
      FakeHost.prototype.poll = () => {
        throw new ProxyError('ERR_PROXY_DEVICE', 'POLL: EIO');
      };
      try {
        using client = connect(path);
        settle(loop);
        client.read();
        expect([client.ended, server.clients, hosts[0]!.disposed]).to.deep.equal([true, 0, true]);
      } finally {
        FakeHost.prototype.poll = poll;
      }
    }),
  );

  it('tells a client that there is no way to the host, and goes on', () => {
    using dir = tempDir();
    using _leaks = leakCheck();
    using loop = new BlockingLoop(sys);
    const openChannel = () => {
      throw new ProxyError('ERR_PROXY_DEVICE', 'no device');
    };
    using server = new Server({ sys, loop, log: silentLogger, openChannel }, `${dir.path}/w`);
    for (let count = 0; count < 2; count++) {
      using client = connect(`${dir.path}/w`);
      settle(loop);
      client.read();
      expect(client.events.map(({ objectId, opcode }) => [objectId, opcode])).to.deep.equal([[1, 0]]);
      expect(client.ended).to.equal(true);
    }
    expect(server.clients).to.equal(0);
  });
});
