export type E = 'a';
export declare const E: { A: 'a' };
