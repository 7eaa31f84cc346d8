import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { BACKEND_MESSAGES, FRONTEND_MESSAGES } from '../src/index.ts';
import { FRONTEND_GOLDEN } from './support/golden.ts';
import { row } from './support/message-rows.ts';

const readme = readFileSync(join(import.meta.dirname, '..', 'README.md'), 'utf8');

/** What the golden answers say: an ack of 1 or the end of the connection is a refusal. */
function served(answer: string): boolean {
  return answer !== 'eof' && !/^..000000 05000000 08000000 0100000000000000$/.test(answer);
}

describe('README', () => {
  for (const spec of FRONTEND_MESSAGES) {
    it(`has the row of ${spec.name}`, () => {
      const word =
        spec.name === 'GPU_SET_SOCKET'
          ? 'if the device takes it'
          : served(FRONTEND_GOLDEN[spec.name].answer)
            ? 'yes'
            : 'no';
      expect(readme).to.include(row(spec, word));
    });
  }

  for (const spec of BACKEND_MESSAGES) {
    it(`has the row of back-end message ${spec.name}`, () => {
      const sent = ['CONFIG_CHANGE_MSG', 'SHMEM_MAP', 'SHMEM_UNMAP'].includes(spec.name);
      expect(readme).to.include(row(spec, sent ? 'yes' : 'no'));
    });
  }
});
