import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Mapping, openSys, PROT_READ } from '@oriel/sys';
import { leakCheck, tempDir } from '@oriel/sys/testing';
import { ConnectedMachine, ServedProgram } from '@oriel/virtio-device/testing';
import { expect } from 'chai';
import { PMEM_ALIGN } from '../src/index.ts';

const example = fileURLToPath(new URL('../examples/serve-image.ts', import.meta.url));
const sys = openSys();

describe('the example, as a program', () => {
  it('stands in the README', () => {
    const code = readFileSync(example, 'utf8').replace(/^.*\n/, '');
    expect(readFileSync(new URL('../README.md', import.meta.url), 'utf8')).to.include(code.trim());
  });

  it('gives a front-end the file, and ends when it leaves', async () => {
    using dir = tempDir();
    const path = join(dir.path, 'image');
    const socketPath = join(dir.path, 'socket');
    writeFileSync(path, Buffer.alloc(PMEM_ALIGN, 'memory '));
    await using program = await ServedProgram.start(example, path, socketPath);
    using _leaks = leakCheck();
    {
      using machine = new ConnectedMachine({ sys, socketPath });
      const { bytes } = machine.ask(machine.start(0), [new Uint8Array(4)], [4]);
      expect([...bytes]).to.deep.equal([0, 0, 0, 0]);
      using window = Mapping.shared(sys.mem, machine.window.get(0)!.fd.fd, PMEM_ALIGN, 0, PROT_READ);
      expect(Buffer.from(window.u8.subarray(0, 6)).toString()).to.equal('memory');
    }
    expect(await program.ended).to.deep.equal([0, null]);
    expect(program.text).to.match(/^listening.*connected.*started.*stopped.*disconnected/s);
  });
});
