export declare abstract class C { a: string }
