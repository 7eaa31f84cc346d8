import { mkdirSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TempDir, tempDir } from '@oriel/sys/testing';
import { expect } from 'chai';
import { CliError } from '../src/cli/cli-error.ts';
import { pmemCommand } from '../src/commands/pmem.ts';
import { readArguments } from '../src/program.ts';

const MIB = 1024 * 1024;

describe('oriel pmem, its plan', () => {
  let dir: TempDir;
  let file: string;

  beforeEach(() => {
    dir = tempDir();
    file = join(dir.path, 'image');
    writeFileSync(file, '');
  });
  afterEach(() => dir[Symbol.dispose]());

  const plan = (...more: string[]) => pmemCommand.plan(['--socket-path=/tmp/s', ...more], { name: 'pmem' });
  const complaint = (...more: string[]): string => {
    try {
      plan(...more);
    } catch (error) {
      expect(error).to.be.instanceOf(CliError);
      return (error as CliError).message;
    }
    throw new Error('nothing was wrong');
  };

  it('serves a file of a size that the front-end takes', () => {
    truncateSync(file, 64 * MIB);
    const { worker } = plan(`--file=${file}`);
    expect(worker).to.deep.include({ type: 'pmem', options: { file, queueSize: 64 } });
    truncateSync(file, 6 * MIB);
    expect(plan(`--file=${file}`, '--frontend=strict').worker.options).to.include({ file });
  });

  it('names a size that fits, in one line', () => {
    expect(complaint()).to.equal('--file is missing: give --file FILE');
    expect(complaint(`--file=${file}`)).to.include(
      '0 bytes, want a power of two: lengthen it with truncate -s 2097152',
    );
    truncateSync(file, 6 * MIB);
    expect(complaint(`--file=${file}`)).to.include('truncate -s 8388608');
    truncateSync(file, 6 * MIB + 1);
    expect(complaint(`--file=${file}`, '--frontend=strict')).to.include('want a multiple of 2M: lengthen it');
    mkdirSync(join(dir.path, 'folder'));
    for (const wrong of [join(dir.path, 'none'), join(dir.path, 'folder'), '/dev/null']) {
      expect(complaint(`--file=${wrong}`)).to.include('give a regular file that exists');
    }
  });

  it('is a device of oriel run, with one mapping', () => {
    truncateSync(file, 64 * MIB);
    expect(pmemCommand.needs([`--file=${file}`]).mappings).to.equal(1);
    const request = readArguments(['run', '--device', `pmem,socket-path=/tmp/p,file=${file}`]);
    expect(request.kind).to.equal('run');
  });
});
