/** @internal */
export declare const a: 1;
