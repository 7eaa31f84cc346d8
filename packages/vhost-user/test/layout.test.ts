import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import * as layout from '../src/layout.ts';
import { type CStructs, compileLayouts, hasCompiler } from './layout-c.ts';

const checkedIn = JSON.parse(readFileSync(join(import.meta.dirname, 'layout-c.json'), 'utf8')) as CStructs;

interface AnyLayout {
  readonly structName: string;
  readonly byteLength: number;
  readonly fieldNames: readonly string[];
  readonly [field: string]: unknown;
}

const layouts = Object.values(layout).filter((value): value is AnyLayout & typeof value => typeof value === 'object');

describe('layouts', () => {
  it('covers every structure of the C program', () => {
    expect(layouts.map((one) => one.structName).sort()).to.deep.equal(Object.keys(checkedIn).sort());
  });

  for (const one of layouts) {
    it(`has ${one.structName} as C has it`, () => {
      const c = checkedIn[one.structName]!;
      const at = (name: string) => {
        const field = one[name] as { offset: number; size: number };
        return [field.offset, field.size];
      };
      const named = one.fieldNames.filter((name) => name in c.fields);
      expect(Object.fromEntries(named.map((name) => [name, at(name)]))).to.deep.equal(c.fields);
      expect(one.byteLength).to.equal(c.size);
    });
  }

  it('agrees with the compiler of this host', function () {
    if (!hasCompiler()) {
      this.skip();
    }
    expect(JSON.parse(compileLayouts())).to.deep.equal(checkedIn);
  });
});
