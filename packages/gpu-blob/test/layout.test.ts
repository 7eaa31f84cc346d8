import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import * as layout from '../src/protocol/layout.ts';
import * as values from '../src/protocol/values.ts';
import { cName, isInC, SAME_SHAPE } from './support/c-name.ts';

const fromC = JSON.parse(readFileSync(join(import.meta.dirname, 'layout-c.json'), 'utf8')) as Record<string, number>;
const isPlace = (key: string): boolean => /^sizeof |\./.test(key);

describe('layouts against linux/virtio_gpu.h', () => {
  it('have every size and offset of C', () => {
    const ours: Record<string, number> = {};
    for (const value of Object.values(layout)) {
      ours[`sizeof ${value.structName}`] = value.byteLength;
      for (const field of value.fieldNames) {
        const { offset } = (value as unknown as Record<string, { offset: number }>)[field]!;
        ours[`${value.structName}.${cName(value.structName, field)}`] = offset;
      }
    }
    for (const [inC, here] of Object.entries(SAME_SHAPE)) {
      ours[`sizeof ${inC}`] = ours[`sizeof ${here}`]!;
      ours[`${inC}.resource_id`] = ours[`${here}.resource_id`]!;
    }
    const theirs = Object.fromEntries(Object.entries(fromC).filter(([key]) => isPlace(key)));
    expect(Object.keys(ours)).to.have.length.above(240);
    expect(ours).to.deep.equal(theirs);
  });

  it('have every constant of C', () => {
    const ours = Object.fromEntries(Object.entries(values).filter(([name]) => isInC(name)));
    const theirs = Object.fromEntries(Object.entries(fromC).filter(([key]) => !isPlace(key)));
    expect(Object.keys(ours)).to.have.length.above(65);
    expect(ours).to.deep.equal(theirs);
  });
});
