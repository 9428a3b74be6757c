export declare class C { constructor() }
