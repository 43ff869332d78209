#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Reads OpenMetrics text, strictly. Prints one sample a line, or what is wrong, and fails.

As of version 1.0 of the specification, for the types that are used here: what a scraper would
accept and put into its database, and no more. Only types that the older text format has as well,
since node_exporter reads files by that.
"""

import math
import re
import sys

NAME = r'[a-zA-Z_:][a-zA-Z0-9_:]*'
LABEL = r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"'
SAMPLE = re.compile(rf'({NAME})(?:\{{({LABEL}(?:,{LABEL})*)\}})? ([-+.0-9eE]+|[-+]Inf|NaN)')
SUFFIXES = {'gauge': [''], 'counter': ['_total'], 'histogram': ['_bucket', '_count', '_sum']}
CANONICAL = re.compile(r'\+Inf|[0-9]+\.[0-9]+|[0-9]e-0[0-9]')


class Family:
    def __init__(self, name):
        self.name, self.type, self.unit, self.help, self.samples = name, None, None, None, {}

    def describe(self, what, text):
        assert not self.samples, f'{what} of {self.name} comes after its samples'
        assert getattr(self, what) is None, f'{self.name} has two of {what}'
        setattr(self, what, text)
        if what == 'type':
            assert text in SUFFIXES, f'{self.name} is of type {text}'
        if what == 'unit':
            assert self.name.endswith('_' + text), f'{self.name} does not end with its unit {text}'

    def add(self, name, labels, value):
        assert self.type and self.help, f'{self.name} has no type or no help'
        suffix = name[len(self.name):]
        assert suffix in SUFFIXES[self.type], f'{name} is no sample of the {self.type} {self.name}'
        key = (suffix, tuple(sorted(labels.items())))
        assert key not in self.samples, f'{name} is there twice'
        if self.type in ('counter', 'histogram'):
            assert value >= 0 and not math.isnan(value), f'{name} counts down'
        self.samples[key] = value

    def end(self):
        if self.type != 'histogram':
            return  # none at all is allowed
        last, bound = 0, -math.inf
        for (suffix, labels), value in self.samples.items():
            if suffix != '_bucket':
                continue
            (key, le), = labels
            assert key == 'le' and CANONICAL.fullmatch(le), f'{self.name} has a bound of {le}'
            assert float(le) > bound and value >= last, f'{self.name} is not in order at {le}'
            last, bound = value, float(le)
        assert bound == math.inf, f'{self.name} has no last bucket'
        assert self.samples[('_count', ())] == last, f'{self.name} does not add up'
        assert ('_sum', ()) in self.samples, f'{self.name} has no sum'


def parse(text):
    families, current = {}, None
    lines = text.split('\n')
    assert lines[-2:] == ['# EOF', ''], 'it does not end'
    for line in lines[:-2]:
        if m := re.fullmatch(rf'# (TYPE|UNIT|HELP) ({NAME}) (\S.*)', line):
            if current is None or current.name != m[2]:
                assert m[2] not in families, f'{m[2]} comes in two parts'
                current = families[m[2]] = Family(m[2])
            current.describe(m[1].lower(), m[3])
        else:
            m = SAMPLE.fullmatch(line)
            assert m, f'what is this? {line!r}'
            assert current and m[1].startswith(current.name), f'{m[1]} is among another family'
            pairs = re.findall(LABEL, m[2] or '')
            assert len(dict(pairs)) == len(pairs), f'a label is there twice: {line}'
            current.add(m[1], dict(pairs), float(m[7]))
    for family in families.values():
        family.end()
    return families


def main():
    try:
        families = parse(sys.stdin.buffer.read().decode('utf-8'))
    except (AssertionError, ValueError) as e:
        sys.exit(f'not OpenMetrics: {e}')
    for f in families.values():
        for (suffix, labels), value in f.samples.items():
            text = ','.join(f'{k}={v}' for k, v in labels)
            print(f'{f.name}{suffix}{{{text}}} {value:g}')


main()
