import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { constantList, type HeaderFacts, layoutList } from './layout-c.ts';

const facts = JSON.parse(readFileSync(new URL('layout-c.json', import.meta.url), 'utf8')) as HeaderFacts;

describe('drm layouts', () => {
  for (const layout of layoutList()) {
    it(`${layout.structName} is as the header has it`, () => {
      const { size, fields } = facts.structs[layout.structName]!;
      const ours = layout.fieldNames.map((name) => {
        const field = (layout as unknown as Record<string, { offset: number; size: number }>)[name]!;
        return [name, [field.offset, field.size]];
      });
      expect(layout.byteLength).to.equal(size);
      expect(Object.fromEntries(ours)).to.deep.equal(fields);
    });
  }

  it('has the numbers of the header', () => {
    expect(Object.fromEntries(constantList())).to.deep.equal(facts.constants);
  });
});
