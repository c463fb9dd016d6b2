export function caseFrom() { return []; }
