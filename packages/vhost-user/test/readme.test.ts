import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { BACKEND_MESSAGES, FRONTEND_MESSAGES } from '../src/index.ts';
import { SENT, SERVED } from './support/backend-served.ts';
import { row } from './support/message-rows.ts';

const readme = readFileSync(join(import.meta.dirname, '..', 'README.md'), 'utf8');

describe('README', () => {
  for (const spec of FRONTEND_MESSAGES) {
    it(`has the row of ${spec.name}`, () => {
      expect(readme).to.include(row(spec, SERVED[spec.name]));
    });
  }

  for (const spec of BACKEND_MESSAGES) {
    it(`has the row of back-end message ${spec.name}`, () => {
      expect(readme).to.include(row(spec, SENT[spec.name]));
    });
  }
});
