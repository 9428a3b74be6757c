export declare class C { private constructor() }
