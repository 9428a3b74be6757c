export declare class f { a: string }
