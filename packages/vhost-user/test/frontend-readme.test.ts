import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { BACKEND_MESSAGES, FRONTEND_MESSAGES } from '../src/index.ts';
import { FrontendSetup } from './support/frontend-setup.ts';

const readme = readFileSync(join(import.meta.dirname, '..', 'README.md'), 'utf8');

/** What stands in the row of a message behind its name. */
function rest(id: number, name: string, lines: readonly string[]): string {
  const start = `| ${id} | ${name} | \``;
  const row = lines.find((line) => line.startsWith(start)) ?? '';
  return row.slice(start.length);
}

describe('README, front-end side', () => {
  const [, section = ''] = readme.split('## The front-end side');
  const lines = (section.split('## Limits')[0] ?? '').split('\n');
  const [calls, requests] = [lines, lines.slice(lines.findIndex((line) => line.includes('back-end message')))];

  for (const spec of FRONTEND_MESSAGES) {
    it(`names a call for ${spec.name}, and there is one`, () => {
      using setup = new FrontendSetup();
      const path = rest(spec.id, spec.name, calls).split('`')[0]!.split('.');
      const call = path.reduce((object: unknown, key) => (object as Record<string, unknown>)?.[key], setup.frontend);
      expect(call).to.be.a('function');
    });
  }

  for (const spec of BACKEND_MESSAGES) {
    it(`says what becomes of ${spec.name}`, () => {
      expect(rest(spec.id, spec.name, requests)).to.match(/^\w+` \| .+ \|$/);
    });
  }
});
