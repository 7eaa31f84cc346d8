import { expect } from 'chai';
import { CliError } from '../src/cli/cli-error.ts';
import { planCtl } from '../src/commands/ctl.ts';
import { readArguments } from '../src/program.ts';

const SOCKET = '--socket=/tmp/c';

describe('oriel ctl, its plan', () => {
  const calls: [readonly string[], object, string?][] = [
    [['devices'], { command: 'devices' }],
    [['stats', '--device', 'gpu2'], { command: 'stats', device: 'gpu2' }],
    [['outputs'], { command: 'outputs' }],
    [['outputs', '800x600,off'], { command: 'outputs', outputs: [{ width: 800, height: 600 }, null] }],
    [['blobs'], { command: 'blobs' }],
    [['screenshot', 'x.png'], { command: 'screenshot', scanout: 0, cursor: false }, 'x.png'],
    [['screenshot', '-', '--cursor', '--scanout=3'], { command: 'screenshot', scanout: 3, cursor: true }, '-'],
    [['--cursor', 'screenshot', 'x'], { command: 'screenshot', scanout: 0, cursor: true }, 'x'],
  ];
  for (const [args, request, file] of calls) {
    it(`asks by '${args.join(' ')}'`, () => {
      expect(planCtl([SOCKET, ...args])).to.deep.equal({ socketPath: '/tmp/c', request, file });
      expect(planCtl([...args, SOCKET])).to.deep.equal({ socketPath: '/tmp/c', request, file });
    });
  }

  const cases: [readonly string[], string][] = [
    [['devices'], '--socket'],
    [[SOCKET], 'devices, stats'],
    [[SOCKET, 'halt'], 'devices, stats'],
    [[SOCKET, 'toString'], 'devices, stats'],
    [[SOCKET, 'devices', 'all'], 'write devices'],
    [[SOCKET, 'screenshot'], 'screenshot FILE'],
    [[SOCKET, 'screenshot', 'a', 'b'], 'screenshot FILE'],
    [[SOCKET, 'outputs', '800x600', '800x600'], 'outputs [WxH'],
    [[SOCKET, 'outputs', '800'], "'800'"],
    [[SOCKET, 'blobs', '--cursor'], '--cursor is for screenshot'],
    [[SOCKET, 'blobs', '--scanout=0'], '--scanout is for screenshot'],
    [[SOCKET, 'screenshot', 'x', '--scanout=16'], '--scanout=16'],
    [[SOCKET, 'blobs', '--frontend=qemu'], 'unknown option'],
  ];
  for (const [args, says] of cases) {
    it(`refuses '${args.join(' ')}'`, () => {
      expect(() => planCtl(args)).to.throw(CliError, says);
    });
  }
});

describe('the help', () => {
  function print(...args: string[]): string {
    const request = readArguments(args);
    expect(request.kind).to.equal('print');
    return request.kind === 'print' ? request.text : '';
  }

  it('names all commands', () => {
    const text = print('--help');
    for (const name of ['fs', 'gpu', 'run', 'ctl']) {
      expect(text).to.include(`oriel ${name} `);
    }
  });

  it('shows what each takes', () => {
    expect(print('gpu', '--help')).to.include('--host-visible SIZE').and.to.include('(default 1280x800)');
    expect(print('run', '--help')).to.include('--device TYPE,KEY=VALUE..').and.not.to.include('--socket-path PATH');
    const ctl = print('ctl', '--help');
    for (const word of ['screenshot FILE', 'outputs [WxH', 'blobs', 'stats', 'devices', '--scanout N', '--cursor']) {
      expect(ctl).to.include(word);
    }
  });

  it('fits a terminal', () => {
    for (const name of ['fs', 'gpu', 'run', 'ctl']) {
      for (const line of print(name, '--help').split('\n')) {
        expect(line.length, line).to.be.at.most(140);
      }
    }
  });
});
