import { expect } from 'chai';
import { CliError } from '../src/cli/cli-error.ts';
import { planTorture } from '../src/commands/torture.ts';
import { readArguments } from '../src/program.ts';

describe('planTorture', () => {
  it('takes the socket of a back-end that runs', () => {
    expect(
      planTorture(['--socket-path=/run/x.sock', '--device', 'blk', '--clause=ring/*', '--timeout=500']),
    ).to.deep.equal({
      socketPath: '/run/x.sock',
      command: undefined,
      device: 'blk',
      clause: 'ring/*',
      timeoutMs: 500,
      format: 'table',
      work: 'run',
    });
  });

  it('takes a command, with a socket of its own or a given one', () => {
    const own = planTorture(['--command=serve {socket}', '--json']);
    expect([own.command, own.socketPath, own.format]).to.deep.equal(['serve {socket}', undefined, 'json']);
    const given = planTorture(['--command=serve', '--socket-path=/run/x.sock']);
    expect([given.command, given.socketPath]).to.deep.equal(['serve', '/run/x.sock']);
  });

  it('lists without a back-end', () => {
    expect(planTorture(['--list']).work).to.equal('list');
  });

  for (const [what, args] of Object.entries({
    'no back-end': [],
    'a command that does not say where the socket belongs': ['--command=serve'],
    'a device that is not known': ['--socket-path=x', '--device=net'],
    'a timeout of nothing': ['--socket-path=x', '--timeout=0'],
  })) {
    it(`refuses ${what} in one line`, () => {
      expect(() => planTorture(args)).to.throw(CliError, /^[^\n]+$/);
    });
  }

  it('is a command of the program', () => {
    expect(readArguments(['torture', '--socket-path=/x'])).to.include({ kind: 'torture', socketPath: '/x' });
    const help = readArguments(['torture', '--help']);
    expect(help.kind === 'print' && help.text)
      .to.include('--socket-path')
      .and.to.include('{socket}');
  });
});
