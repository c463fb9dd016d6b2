// What may be changed in a Solidity source: one small fault at a time, found in the compiler's own syntax tree.
import { createHash } from 'node:crypto';

const BINARY = {
  '==': ['!='],
  '!=': ['=='],
  '<': ['<=', '>='],
  '<=': ['<', '>'],
  '>': ['>=', '<='],
  '>=': ['>', '<'],
  '&&': ['||'],
  '||': ['&&'],
  '+': ['-'],
  '-': ['+'],
  '*': ['/'],
  '/': ['*'],
  '%': ['/'],
  '&': ['|'],
  '|': ['&'],
  '^': ['&'],
  '<<': ['>>'],
  '>>': ['<<'],
};
const ASSIGNMENT = { '+=': '-=', '-=': '+=', '|=': '&=', '&=': '|=' };
const YUL = { lt: 'gt', gt: 'lt', add: 'sub', sub: 'add', and: 'or', or: 'and', shl: 'shr', shr: 'shl' };

/**
 * Every mutant of one source: {id, file, line, operator, before, after, start, end}, with `start` and `end` in bytes of the
 * source and `before` the text there. `id` depends on the text around it, not on line numbers.
 * @param {string} file path under contracts/
 * @param {Buffer} source
 * @param {object} ast the compiler's tree of that source
 */
export function mutantsOf(file, source, ast) {
  const found = [];
  const at = (node) => {
    const [start, length] = node.src.split(':').map(Number);
    return [start, start + length];
  };
  const text = (node) => source.subarray(...at(node)).toString();
  const put = (operator, start, end, after, where) => {
    const before = source.subarray(start, end).toString();
    if (before === after) return;
    const line = source.subarray(0, start).toString().split('\n').length;
    found.push({ file, where, line, operator, before, after, start, end });
  };
  const replace = (operator, node, after, where) => put(operator, ...at(node), after, where);
  // The operator's own place: between the two sides, outside comments as the formatter leaves none there.
  const between = (operator, node, sign, after, where) => {
    const from = at(node.leftExpression ?? node.leftHandSide)[1];
    const to = at(node.rightExpression ?? node.rightHandSide)[0];
    const gap = source.subarray(from, to).toString();
    const offset = from + Buffer.byteLength(gap.slice(0, gap.indexOf(sign)));
    put(operator, offset, offset + sign.length, after, where);
  };
  const one = (node, where) => {
    const literal = text(node);
    const number = /^(0x[0-9a-fA-F]+|[0-9_]+)(.*)$/s.exec(literal);
    // Long hexadecimal literals are addresses and curve constants.
    if (!number || number[1].length > 10) return;
    const value = BigInt(number[1].replaceAll('_', ''));
    replace('constant', node, `${value + 1n}${number[2]}`, where);
    if (value > 0n) replace('constant', node, `${value - 1n}${number[2]}`, where);
  };

  const rules = {
    BinaryOperation(node, where) {
      for (const after of BINARY[node.operator] ?? []) between('operator', node, node.operator, after, where);
    },
    Assignment(node, where) {
      if (ASSIGNMENT[node.operator]) between('operator', node, node.operator, ASSIGNMENT[node.operator], where);
    },
    UnaryOperation(node, where) {
      if (node.operator === '!') replace('negation', node, text(node.subExpression), where);
      if (node.operator === '++' || node.operator === '--') {
        replace('operator', node, text(node).replace(node.operator, node.operator === '++' ? '--' : '++'), where);
      }
    },
    Conditional(node, where) {
      const [yes, no] = [text(node.trueExpression), text(node.falseExpression)];
      replace('branches', node, `${text(node.condition)} ? ${no} : ${yes}`, where);
    },
    IfStatement(node, where) {
      replace('condition', node.condition, 'true', where);
      replace('condition', node.condition, 'false', where);
    },
    ExpressionStatement: (node, where) => replace('statement', node, '{}', where),
    EmitStatement: (node, where) => replace('statement', node, '{}', where),
    // Of `if (…) revert …` the condition `false` is the same fault.
    RevertStatement: (node, where, parent) => parent.nodeType !== 'IfStatement' && replace('statement', node, '{}', where),
    Literal(node, where) {
      if (node.kind === 'number') one(node, where);
      if (node.kind === 'bool') replace('constant', node, node.value === 'true' ? 'false' : 'true', where);
    },
    ModifierInvocation: (node, where) => replace('modifier', node, '', where),
    YulIf: (node, where) => replace('condition', node.condition, '0', where),
    YulFunctionCall(node, where) {
      const { name } = node.functionName;
      if (YUL[name]) replace('operator', node.functionName, YUL[name], where);
      if (name === 'iszero') replace('negation', node, text(node.arguments[0]), where);
      if (name === 'eq') replace('negation', node, `iszero(${text(node)})`, where);
    },
    YulExpressionStatement: (node, where) => replace('statement', node, '{}', where),
    YulAssignment: (node, where) => replace('statement', node, '{}', where),
    YulLiteral: (node, where) => node.kind === 'number' && one(node, where),
  };

  const walk = (node, where, parent) => {
    if (Array.isArray(node)) return node.forEach((each) => walk(each, where, parent));
    if (node === null || typeof node !== 'object') return undefined;
    if (!node.nodeType) return Object.values(node).forEach((each) => walk(each, where, parent));
    if (SKIPPED.has(node.nodeType)) return undefined;
    const inside = PLACES.has(node.nodeType) ? node.name || node.kind : where;
    rules[node.nodeType]?.(node, inside, parent);
    return Object.values(node).forEach((each) => typeof each === 'object' && walk(each, inside, node));
  };
  walk(ast, '', null);
  return named(found);
}

// Types, and what has no code of its own.
const SKIPPED = new Set([
  'ElementaryTypeName', 'ArrayTypeName', 'Mapping', 'ImportDirective', 'PragmaDirective', 'UsingForDirective', 'ErrorDefinition',
  'EventDefinition', 'StructDefinition', 'EnumDefinition', 'InheritanceSpecifier', 'OverrideSpecifier', 'StructuredDocumentation',
]);
const PLACES = new Set(['FunctionDefinition', 'ModifierDefinition', 'VariableDeclaration']);

function named(found) {
  const seen = new Map();
  for (const mutant of found) {
    const what = [mutant.file, mutant.where, mutant.operator, mutant.before, mutant.after].join('\0');
    const nth = seen.get(what) ?? 0;
    seen.set(what, nth + 1);
    mutant.id = createHash('sha256').update(`${what}\0${nth}`).digest('hex').slice(0, 12);
  }
  return found;
}
