export type H = (a: string) => void;
export declare function on(h: H): void;
