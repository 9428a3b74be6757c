export declare abstract class C { m(): void }
